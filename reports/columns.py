"""The columns of a leaderboard: what each holds, what it is called, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Callable

from reports.records import Record

SCORES: dict[str, tuple[str, str]] = {
    "psnr": ("novel", "psnr"),
    "ssim": ("novel", "ssim"),
    "lpips": ("novel", "lpips"),
    "mask_psnr": ("novel", "mask_psnr"),
    "deblur_psnr": ("deblur", "psnr"),
    "deblur_ssim": ("deblur", "ssim"),
    "deblur_lpips": ("deblur", "lpips"),
    "deblur_mask_psnr": ("deblur", "mask_psnr"),
    "reblur_psnr": ("kernel", "reblur_psnr"),
    "identity_psnr": ("kernel", "identity_psnr"),
    "coc_mae_px": ("kernel", "coc_mae_px"),
}
"""The columns that come from per-view values, with the track and the metric of each."""

COSTS: dict[str, Callable[[Record], float | None]] = {
    "train_s": lambda record: (record.times or {}).get("train_s"),
    "peak_mb": lambda record: record.memory.peak_mb if record.memory else None,
    "gaussians": lambda record: record.gaussians,
}
"""The columns that come from the job as a whole."""

MARKDOWN_ONLY = ("deblur_mask_psnr",)
"""Scores that people see and the CSV leaves out, so that its columns stay what they are."""

COLUMNS = (
    *("method", "status", "oracle", "captures", "seeds"),
    *(column for column in SCORES if column not in MARKDOWN_ONLY),
    *COSTS,
)

RESULT_COLUMNS = ("capture", "method", "seed", "track", "view", "metric", "value")

RANKED = ("psnr", "deblur_psnr")
"""Columns that a rank is given for."""

DASH = "–"

HEADINGS = {
    "psnr": "PSNR ↑",
    "ssim": "SSIM ↑",
    "lpips": "LPIPS ↓",
    "mask_psnr": "mask PSNR ↑",
    "deblur_psnr": "PSNR ↑",
    "deblur_ssim": "SSIM ↑",
    "deblur_lpips": "LPIPS ↓",
    "deblur_mask_psnr": "mask PSNR ↑",
    "reblur_psnr": "re-blur PSNR ↑",
    "identity_psnr": "identity PSNR",
    "coc_mae_px": "CoC error, px ↓",
    "train_s": "training, s",
    "peak_mb": "peak memory, MiB",
    "gaussians": "Gaussians",
}

DECIMALS = {
    "ssim": 3,
    "lpips": 3,
    "deblur_ssim": 3,
    "deblur_lpips": 3,
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
