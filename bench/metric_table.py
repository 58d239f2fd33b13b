"""What each metric is. Imports nothing heavy, so that `bench list metrics` answers at once."""

from __future__ import annotations

from typing import Literal, NamedTuple

PSNR_CAP = 100.0
"""dB. Identical images have infinite PSNR, which no JSON number can hold and which would swallow any mean."""


class Metric(NamedTuple):
    """What a metric is. `version` is raised whenever the same files would give other numbers."""

    name: str
    title: str
    better: Literal["higher", "lower"]
    range: tuple[float, float | None]  # None: no upper end
    unit: str
    implementation: str
    version: str

    @property
    def hash(self) -> str:
        """SHA-256 of the definition: two numbers may be compared where the hashes are equal."""
        import hashlib
        import json

        return hashlib.sha256(json.dumps(self._asdict(), sort_keys=True).encode()).hexdigest()


_PSNR = "-10 log10 of the mean squared error of one image (peak 1), at most 100 dB; then the mean over images"
_SSIM = (
    "scikit-image structural_similarity: gaussian_weights, sigma 1.5 (11x11), use_sample_covariance False, "
    "data_range 1, mean over channels, a border of 5 px left out"
)
_LPIPS = "lpips 0.1.4: net alex, version 0.1, whole image scaled to [-1, 1], float32 on the CPU"
_MASK_PSNR = f"{_PSNR}; over the pixels where the mask exceeds 0.5"
_REBLUR = f"{_PSNR}; the sharp twin under the method's own blur, against the photograph"
_IDENTITY = f"{_PSNR}; the sharp twin as it is, against the photograph"
_COC = "mean | |CoC| - |true CoC| | of the radius, over the pixels where the mask exceeds 0.5"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR", "higher", (0.0, PSNR_CAP), "dB", _PSNR, "1"),
        Metric("ssim", "SSIM", "higher", (-1.0, 1.0), "", _SSIM, "1"),
        Metric("lpips", "LPIPS (AlexNet)", "lower", (0.0, None), "", _LPIPS, "1"),
        Metric("mask_psnr", "PSNR on the object", "higher", (0.0, PSNR_CAP), "dB", _MASK_PSNR, "1"),
        Metric("reblur_psnr", "PSNR, re-blurred", "higher", (0.0, PSNR_CAP), "dB", _REBLUR, "1"),
        Metric("identity_psnr", "PSNR, no blur", "higher", (0.0, PSNR_CAP), "dB", _IDENTITY, "1"),
        Metric("coc_mae_px", "CoC error", "lower", (0.0, None), "px", _COC, "1"),
    )
}
"""Every metric that a record may hold, by name."""
