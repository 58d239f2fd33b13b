"""The leaderboard on a terminal."""

from collections.abc import Sequence

from rich.table import Table

from reports.columns import formatted
from reports.rows import Row

SHOWN = {
    "psnr": "psnr",
    "ssim": "ssim",
    "lpips": "lpips",
    "mask_psnr": "mask",
    "deblur_psnr": "deblur",
    "identity_psnr": "ident",
    "reblur_psnr": "reblur",
    "coc_mae_px": "CoC",
    "train_s": "train_s",
    "peak_mb": "peak_mb",
}
"""Columns and their headings."""

OF_BLUR = ("identity_psnr", "reblur_psnr", "coc_mae_px")
"""Shown only where a method has a number in them."""


def table(rows: Sequence[Row]) -> Table:
    """Methods, best first; what is no competitor is dimmed."""
    columns = [name for name in SHOWN if name not in OF_BLUR or any(row.scores[name] for row in rows)]
    shown = Table(box=None, pad_edge=False)
    shown.add_column("method", no_wrap=True)
    for column in columns:
        shown.add_column(SHOWN[column], justify="right", no_wrap=True)
    shown.add_column("")
    for row in rows:
        cells = row.cells()
        values = [formatted(column, cells[column]) for column in columns]
        outcome = "" if row.status == "ok" else row.status
        kind = row.changed or ("oracle" if row.oracle else row.kind)
        style = "" if row.competes else "dim"
        shown.add_row(row.method, *values, outcome or kind, style=style)
    return shown
