"""Checkpoints that version 0.1.0 wrote load and score as they did."""

import json
import lzma
from pathlib import Path

import pytest
import torch

from addnet.inference import Detector

# written in November 2026 by the commit before checkpoints lost the places of data and loggers; the weights repeat 509
# numbers, so that the files are small, and scores.json has what that commit said of the images below
EARLIER = Path(__file__).parent / "earlier"


@pytest.mark.parametrize("name", ["addnet", "bandpass"])
def test_a_checkpoint_of_version_0_1_0_scores_as_it_did(tmp_path, name):
    file = tmp_path / "best.ckpt"
    file.write_bytes(lzma.decompress((EARLIER / f"{name}.ckpt.xz").read_bytes()))
    detector = Detector.from_checkpoint(file)
    random = torch.Generator().manual_seed(7)
    image, mask = torch.rand(4, 3, 96, 96, generator=random) * 2 - 1, torch.rand(4, 1, 96, 96, generator=random)
    with torch.inference_mode():
        found = detector.probabilities(image, mask).tolist()
    assert found == pytest.approx(json.loads((EARLIER / "scores.json").read_text())[name], abs=1e-5)
    assert (detector.frame.threshold, detector.video.threshold) == (0.5255349696793558, 0.5125071381590858)
