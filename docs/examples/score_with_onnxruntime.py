"""Scores an image without PyTorch: python score_with_onnxruntime.py detector.onnx image.jpg."""

import json
import sys

import numpy as np
import onnxruntime

from addnet.faces import AttentionMask, Geometry, Landmarker, map_landmarks, read_image, warp_image

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
steps, decision = about["preprocessing"], (about["decision"] or {}).get("frame", {"threshold": 0.5})
size = steps["image_size"]

image = read_image(sys.argv[2])
landmarks = Landmarker(face_crops="/crops/" in steps["detector"])(image).landmarks
geometry = Geometry(size=size, **{key: steps[key] for key in ("align", "crop", "margin")})
matrix = geometry.matrix(image.shape, landmarks)
image = warp_image(image, matrix, size).transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
mask = AttentionMask(**steps["mask"]).draw(None if landmarks is None else map_landmarks(landmarks, matrix), size)[
    None, None
]

(logits,) = session.run(["logits"], {"image": image, "mask": mask})
scores = np.exp(logits[0] - logits[0].max())
score = float(scores[about["class_names"].index("fake")] / scores.sum())
verdict = "fake" if score > decision["threshold"] else "real"
print(json.dumps({"score": score, "verdict": verdict, "face": landmarks is not None}))
