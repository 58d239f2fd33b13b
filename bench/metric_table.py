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
_CLEAN = "the sharp twin, or what stands for it (tracks kernel-paper, kernel-own)"
_IN_FOCUS = (
    f"{_PSNR}; a render of a held-out view against its photograph, over the pixels of that which are in focus: "
    "the sharpest 1 % of all pixels of the capture, by the energy of detail finer than 1 px over that finer than 3 px "
    "(sRGB luminance, Gaussian windows of 3 px, contrast floor 0.03)"
)
_REBLUR = f"{_CLEAN}, under the method's own blur, against the photograph"
_IDENTITY = f"{_CLEAN}, as it is, against the photograph"
_CEILING = f"{_CLEAN}, under disks of the true CoC radius in linear light, 8 bits, against the photograph"
_COC = "mean | |CoC| - |true CoC| | of the radius, over the pixels of the object (mask above 0.5, depth known)"
_INNER = "more than 3 px from the outline and from steps of the true CoC radius above 0.5 px a pixel"
_FOCUS = "| d0 - true d0 | of the distance of the focal plane from the lens"
_FOCUS_SHARE = f"{_FOCUS}, over the range of the object's true depths in the view"
_APERTURE = "| a / true a - 1 | of the radius of the lens"


def _blur_metrics() -> list[Metric]:
    """Those of kernel accuracy (seed paper, section 4.3.1, and beyond)."""
    psnr_range = (0.0, PSNR_CAP)
    correlation = "Pearson's, of |CoC| and |true CoC| over the pixels of the object; none where a map is constant"
    bins = (("0_1", "0-1"), ("1_2", "1-2"), ("2_4", "2-4"), ("4_8", "4-8"), ("8_up", "8 and more"))
    return [
        Metric("reblur_psnr", "PSNR, re-blurred", "higher", psnr_range, "dB", f"{_PSNR}; {_REBLUR}", "1"),
        Metric("reblur_ssim", "SSIM, re-blurred", "higher", (-1.0, 1.0), "", f"{_SSIM}; {_REBLUR}", "1"),
        Metric("reblur_lpips", "LPIPS, re-blurred", "lower", (0.0, None), "", f"{_LPIPS}; {_REBLUR}", "1"),
        Metric("identity_psnr", "PSNR, no blur", "higher", psnr_range, "dB", f"{_PSNR}; {_IDENTITY}", "1"),
        Metric("identity_ssim", "SSIM, no blur", "higher", (-1.0, 1.0), "", f"{_SSIM}; {_IDENTITY}", "1"),
        Metric("identity_lpips", "LPIPS, no blur", "lower", (0.0, None), "", f"{_LPIPS}; {_IDENTITY}", "1"),
        Metric("ceiling_psnr", "PSNR, true blur", "higher", psnr_range, "dB", f"{_PSNR}; {_CEILING}", "1"),
        Metric("coc_mae_px", "CoC error", "lower", (0.0, None), "px", _COC, "1"),
        Metric("coc_mae_inner_px", "CoC error, no edges", "lower", (0.0, None), "px", f"{_COC}, {_INNER}", "1"),
        Metric("coc_corr", "CoC correlation", "higher", (-1.0, 1.0), "", correlation, "1"),
        *(
            Metric(
                f"coc_mae_{name}_px",
                f"CoC error, {span} px",
                "lower",
                (0.0, None),
                "px",
                f"{_COC} and a |true CoC| of {span} px",
                "1",
            )
            for name, span in bins
        ),
        Metric("focus_error_mm", "focus error", "lower", (0.0, None), "mm", _FOCUS, "1"),
        Metric("focus_error_percent", "focus error, % of depth", "lower", (0.0, None), "%", _FOCUS_SHARE, "1"),
        Metric("aperture_error_percent", "aperture error", "lower", (0.0, None), "%", _APERTURE, "1"),
    ]


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR", "higher", (0.0, PSNR_CAP), "dB", _PSNR, "1"),
        Metric("ssim", "SSIM", "higher", (-1.0, 1.0), "", _SSIM, "1"),
        Metric("lpips", "LPIPS (AlexNet)", "lower", (0.0, None), "", _LPIPS, "1"),
        Metric("mask_psnr", "PSNR on the object", "higher", (0.0, PSNR_CAP), "dB", _MASK_PSNR, "1"),
        Metric("in_focus_psnr", "PSNR where in focus", "higher", (0.0, PSNR_CAP), "dB", _IN_FOCUS, "1"),
        *_blur_metrics(),
    )
}
"""Every metric that a record may hold, by name."""
