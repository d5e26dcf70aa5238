"""Row 21: one image through the exported lite network in onnxruntime, and through the same network in PyTorch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from measure import race
from table import Row

from addnet.inference import Detector
from addnet.inference.export.exporting import export_checkpoint


def rows(rounds: int = 11) -> Iterator[Row]:
    """One thread each; the file is the one that `addnet export` writes by default."""
    import onnxruntime

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    detector = Detector.default(device="cpu")
    with tempfile.TemporaryDirectory() as work:
        file = Path(work, "lite.onnx")
        export_checkpoint("lite", file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    size = detector.preprocessing.geometry.size
    image, mask = torch.rand(1, 3, size, size) * 2 - 1, torch.rand(1, 1, size, size)
    names = {entry.name for entry in session.get_inputs()}
    given = {name: value.numpy() for name, value in {"image": image, "mask": mask}.items() if name in names}

    @torch.inference_mode()
    def eager() -> object:
        return detector.net(image.contiguous(memory_format=torch.channels_last), mask)

    with torch.inference_mode():
        np.testing.assert_allclose(session.run(None, given)[0], detector.net(image, mask).numpy(), atol=1e-4)
    times = race({"onnxruntime": lambda: session.run(None, given), "PyTorch, eager": eager}, rounds=rounds)
    ours, theirs = times.values()
    yield Row(
        "21",
        "exported lite network, one image",
        "the same in eager PyTorch",
        theirs.over(ours),
        (">=", 1.5),
        {name: time.median for name, time in times.items()},
        f"onnxruntime {onnxruntime.__version__}, {size} pixels, one thread each",
    )
    torch.set_num_threads(threads)
