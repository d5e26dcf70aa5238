"""The parts as they are usually written, to be measured beside ours; none of this is used elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class DepthwiseBandpass(nn.Module):
    """Two Gaussian blurs by 2-D depthwise kernels, and their difference; both widths learnable."""

    def __init__(self, kernel_size: int = 31, sigma_low: float = 1.0, sigma_high: float = 2.0) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.sigma_low, self.sigma_high = (nn.Parameter(torch.tensor(sigma)) for sigma in (sigma_low, sigma_high))

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        return self._blurred(image, self.sigma_low) - self._blurred(image, self.sigma_high)

    def _blurred(self, image: Tensor, sigma: Tensor) -> Tensor:
        size, channels = self.kernel_size, image.shape[1]
        offsets = torch.arange(size, dtype=image.dtype, device=image.device) - size // 2
        line = torch.exp(-0.5 * (offsets / sigma) ** 2)
        line = line / line.sum()
        kernel = (line[:, None] * line).expand(channels, 1, size, size)
        padded = functional.pad(image, (size // 2,) * 4, mode="reflect")
        return functional.conv2d(padded, kernel, groups=channels)


def kornia_difference(image: Tensor, kernel_size: int, sigma_low: float, sigma_high: float) -> Tensor:
    """The same band from kornia, widths fixed."""
    from kornia.filters import gaussian_blur2d

    low, high = (
        gaussian_blur2d(image, (kernel_size, kernel_size), (sigma, sigma), "reflect")
        for sigma in (sigma_low, sigma_high)
    )
    difference: Tensor = low - high
    return difference


class SearchingLoader(torch.utils.data.Dataset[tuple[Tensor, Tensor, int]]):
    """Finds the face anew for every sample, before and after it is levelled, and draws the mask at full size.

    Args:
        files: Path and label of each image.
        size: Side that a sample is resized to.
        found: (68, 2) of each image, or None, taken instead of finding them twice: where there is no dlib.
    """

    def __init__(
        self,
        files: Sequence[tuple[str, int]],
        size: int = 299,
        *,
        found: Sequence[np.ndarray | None] | None = None,
    ) -> None:
        self.files, self.size, self.found = list(files), size, found
        self._tools: tuple[object, object] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        path, label = self.files[index]
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        landmarks = self._landmarks(image, index)
        if landmarks is not None:
            eyes = landmarks[42:48].mean(axis=0) - landmarks[36:42].mean(axis=0)
            centre = tuple(float(value) for value in landmarks[27:36].mean(axis=0))
            turn = cv2.getRotationMatrix2D(centre, float(np.degrees(np.arctan2(eyes[1], eyes[0]))), 1)
            image = cv2.warpAffine(image, turn, image.shape[1::-1])
            landmarks = self._landmarks(image, index)
        mask = self._mask(landmarks, image.shape[:2])
        tensor = torch.from_numpy(cv2.resize(image, (self.size, self.size))).permute(2, 0, 1).float() / 127.5 - 1
        return tensor.contiguous(), torch.from_numpy(cv2.resize(mask, (self.size, self.size)))[None], label

    def _landmarks(self, image: np.ndarray, index: int) -> np.ndarray | None:
        if self.found is not None:
            return self.found[index]
        import dlib

        from addnet.faces.landmarks import landmark_model_path

        if self._tools is None:
            self._tools = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(landmark_model_path()))
        detector, predictor = self._tools
        boxes = detector(image, 1)  # type: ignore[operator]
        if not boxes:
            return None
        shape = predictor(image, max(boxes, key=lambda box: box.area()))  # type: ignore[operator]
        return np.array([[point.x, point.y] for point in shape.parts()], dtype=np.float32)

    @staticmethod
    def _mask(landmarks: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
        if landmarks is None:
            return np.ones(shape, dtype=np.float32)
        face, organs = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        cv2.fillConvexPoly(face, cv2.convexHull(landmarks.astype(np.int32)), 1)
        for part in (slice(36, 48), slice(27, 36), slice(48, 68)):
            cv2.fillConvexPoly(organs, cv2.convexHull(landmarks[part].astype(np.int32)), 1)
        mask = cv2.GaussianBlur(face, (0, 0), shape[0] / 30) + cv2.GaussianBlur(organs, (0, 0), shape[0] / 30)
        return mask / max(float(mask.max()), 1e-6)
