"""The columns of a leaderboard: what each holds, what it is called, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Callable

from reports.records import Record

BLUR_METRICS = (
    *("identity_psnr", "reblur_psnr", "ceiling_psnr"),
    *("identity_ssim", "reblur_ssim", "identity_lpips", "reblur_lpips"),
)
"""Of a clean image under a method's blur."""

COC_BINS = ("coc_mae_0_1_px", "coc_mae_1_2_px", "coc_mae_2_4_px", "coc_mae_4_8_px", "coc_mae_8_up_px")

COC_METRICS = ("coc_mae_px", "coc_mae_inner_px", "coc_corr", *COC_BINS)
"""Of a map of the circles of confusion."""

LENS_METRICS = ("focus_error_mm", "focus_error_percent", "aperture_error_percent")
"""Of the lens that a method has found."""

_AGREED: dict[str, tuple[str, str]] = {
    "psnr": ("novel", "psnr"),
    "ssim": ("novel", "ssim"),
    "lpips": ("novel", "lpips"),
    "mask_psnr": ("novel", "mask_psnr"),
    "deblur_psnr": ("deblur", "psnr"),
    "deblur_ssim": ("deblur", "ssim"),
    "deblur_lpips": ("deblur", "lpips"),
    "reblur_psnr": ("kernel", "reblur_psnr"),
    "identity_psnr": ("kernel", "identity_psnr"),
    "coc_mae_px": ("kernel", "coc_mae_px"),
}
"""Scores that the CSV has."""

SCORES: dict[str, tuple[str, str]] = {
    **_AGREED,
    "deblur_mask_psnr": ("deblur", "mask_psnr"),
    **{metric: ("kernel", metric) for metric in (*BLUR_METRICS, *COC_METRICS, *LENS_METRICS)},
    **{f"test_{metric}": ("kernel-test", metric) for metric in (*BLUR_METRICS, *COC_METRICS, *LENS_METRICS)},
    **{f"paper_{metric}": ("kernel-paper", metric) for metric in BLUR_METRICS},
    "in_focus_psnr": ("novel", "in_focus_psnr"),
    **{f"own_{metric}": ("kernel-own", metric) for metric in BLUR_METRICS},
}
"""The columns that come from per-view values, with the track and the metric of each."""

COSTS: dict[str, Callable[[Record], float | None]] = {
    "train_s": lambda record: (record.times or {}).get("train_s"),
    "peak_mb": lambda record: record.memory.peak_mb if record.memory else None,
    "gaussians": lambda record: record.gaussians,
}
"""The columns that come from the job as a whole."""

COLUMNS = ("method", "status", "oracle", "captures", "seeds", *_AGREED, *COSTS)
"""Of the CSV. Scores of later days are for Markdown, so that these columns stay what they are."""

RESULT_COLUMNS = ("capture", "method", "seed", "track", "view", "metric", "value")

RANKED = (
    *("psnr", "in_focus_psnr", "deblur_psnr"),
    *("reblur_psnr", "test_reblur_psnr", "paper_reblur_psnr", "own_reblur_psnr"),
)
"""Columns that a rank is given for."""

DASH = "–"

_BLUR_HEADINGS = {
    "identity_psnr": "identity PSNR",
    "reblur_psnr": "re-blurred PSNR ↑",
    "ceiling_psnr": "ceiling PSNR",
    "identity_ssim": "identity SSIM",
    "reblur_ssim": "re-blurred SSIM ↑",
    "identity_lpips": "identity LPIPS",
    "reblur_lpips": "re-blurred LPIPS ↓",
    "coc_mae_px": "CoC error, px ↓",
    "coc_mae_inner_px": "away from edges, px ↓",
    "coc_corr": "CoC correlation ↑",
    "coc_mae_0_1_px": "0-1 px",
    "coc_mae_1_2_px": "1-2 px",
    "coc_mae_2_4_px": "2-4 px",
    "coc_mae_4_8_px": "4-8 px",
    "coc_mae_8_up_px": "8 px and more",
    "focus_error_mm": "focus, mm ↓",
    "focus_error_percent": "focus, % of depth ↓",
    "aperture_error_percent": "aperture, % ↓",
}

HEADINGS = {
    "psnr": "PSNR ↑",
    "ssim": "SSIM ↑",
    "lpips": "LPIPS ↓",
    "mask_psnr": "mask PSNR ↑",
    "in_focus_psnr": "in-focus PSNR ↑",
    "deblur_psnr": "PSNR ↑",
    "deblur_ssim": "SSIM ↑",
    "deblur_lpips": "LPIPS ↓",
    "deblur_mask_psnr": "mask PSNR ↑",
    **{name: _BLUR_HEADINGS[metric] for name, (_, metric) in SCORES.items() if metric in _BLUR_HEADINGS},
    "train_s": "training, s",
    "peak_mb": "peak memory, MiB",
    "gaussians": "Gaussians",
}

DECIMALS = {
    **{name: 3 for name, (_, metric) in SCORES.items() if metric.endswith(("ssim", "lpips", "corr", "_mm"))},
    "train_s": 1,
    "peak_mb": 0,
    "gaussians": 0,
}
"""Where it is not two."""


def formatted(column: str, value: object) -> str:
    """A cell as people read it: PSNR with two decimals, SSIM and LPIPS with three, seconds with one."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and column in (*SCORES, *COSTS):
        return f"{value:,.{DECIMALS.get(column, 2)}f}"
    return str(value)
