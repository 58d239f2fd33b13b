"""The leaderboard on a terminal."""

from collections.abc import Sequence

from rich.table import Table

from reports.columns import formatted
from reports.rows import Row

SHOWN = ("psnr", "ssim", "lpips", "mask_psnr", "deblur_psnr", "train_s", "peak_mb")


def table(rows: Sequence[Row]) -> Table:
    """Methods, best first; what is no competitor is dimmed."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("method", no_wrap=True)
    for column in SHOWN:
        shown.add_column(column.replace("_psnr", ""), justify="right", no_wrap=True)
    shown.add_column("")
    for row in rows:
        cells = row.cells()
        values = [formatted(column, cells[column]) for column in SHOWN]
        outcome = "" if row.status == "ok" else row.status
        kind = row.changed or ("oracle" if row.oracle else row.kind)
        style = "dim" if row.oracle or row.kind == "control" else ""
        shown.add_row(row.method, *values, outcome or kind, style=style)
    return shown
