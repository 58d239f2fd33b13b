"""The tables of kernel accuracy: how well each method knows the blur of a photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.cells import escaped, grid, named, score, track_table
from reports.columns import BLUR_METRICS, COC_BINS, DASH, HEADINGS, LENS_METRICS, formatted
from reports.records import Record
from reports.rows import Row, best_first

_CAPTION = (
    "A clean image under the method's own model of the blur, against the photograph. Identity: the clean image as it "
    "is. Ceiling: the same under the true circles of confusion (CoC) and an ideal lens's disk. CoC error: of the "
    "radius, over the object; away from edges: more than 3 px from its outline and from depth edges. Blur: whether a "
    "pixel gathers light from around it, or a point scatters its own. Marks and ranks as above."
)
_TRAINING = "The clean images are the sharp twins of the training photographs."
_HELD_OUT = (
    "The clean images are the sharp twins of the held-out photographs. † A held-out photograph was the input of the "
    "method's estimate of its focus, and of nothing else."
)
_PAPER = (
    "The clean images are renders of the held-out views by 3D Gaussian Splatting trained on the sharp twins (seed "
    "paper, section 4.3.1). † as above."
)
_OWN = (
    "Captures that have no truth: the clean images are the method's own renders of the held-out views, so this scores "
    "scene and blur together. † as above."
)
_BINS = "Mean error of the CoC radius, px, over the pixels of the training views with a true radius of so many px."

_LENS = (
    "Of the distance of the focal plane (mean over the training views; also as a share of the object's range of depths "
    "there) and of the radius of the lens."
)

_TRAINING_COLUMNS = (
    *("identity_psnr", "reblur_psnr", "ceiling_psnr", "reblur_ssim", "reblur_lpips"),
    *("coc_mae_px", "coc_mae_inner_px", "coc_corr"),
)


_OWN_METRICS = tuple(metric for metric in BLUR_METRICS if metric != "ceiling_psnr")


def kernel_accuracy(records: Sequence[Record], table: Sequence[Row], notes: dict[str, int]) -> str:
    """The section with a table for the training views, the held-out ones, the seed paper's protocol, captures without
    truth, the CoC error by amount of blur, and the lens; each only where a method has a number in it."""
    paper = tuple(f"paper_{metric}" for metric in BLUR_METRICS)
    parts = (
        ("Training views", _TRAINING, _table(table, _TRAINING_COLUMNS, notes)),
        ("Held-out views †", _HELD_OUT, _table(table, [f"test_{name}" for name in _TRAINING_COLUMNS], notes)),
        ("The seed paper's protocol †", _PAPER, _table(table, paper, notes, _published(records, paper))),
        ("Own renders †", _OWN, _table(table, tuple(f"own_{metric}" for metric in _OWN_METRICS), notes)),
        ("CoC error by amount of blur", _BINS, _errors(table, COC_BINS, notes)),
        ("Error of the lens", _LENS, _errors(table, LENS_METRICS, notes)),
    )
    sections = [f"### {title}\n\n{caption}\n\n{text}" for title, caption, text in parts if text]
    return "\n\n".join(["## Kernel accuracy", _CAPTION, *sections]) if sections else ""


def _table(
    table: Sequence[Row], columns: Sequence[str], notes: dict[str, int], more: Sequence[Sequence[str]] = ()
) -> str:
    return track_table(table, columns, notes, {"blur": lambda row: row.spread or DASH}, more)


def _published(records: Sequence[Record], columns: Sequence[str]) -> list[list[str]]:
    """Lines of the sources' own numbers, to stand under ours: the data are others."""
    known: dict[str, Mapping[str, Any]] = {}
    for record in records:
        if record.method.published and "kernel" in record.method.published:
            known[record.method.name] = record.method.published["kernel"]
    lines = []
    for method, numbers in sorted(known.items()):
        about = f"{method}, published for other data ({numbers.get('data', 'not named')})"
        cells = [formatted(name, numbers.get(name.removeprefix("paper_"))) for name in columns]
        lines.append([DASH, f"*{escaped(about)}*", *[DASH] * 5, *cells])
    return lines


def _errors(table: Sequence[Row], columns: Sequence[str], notes: dict[str, int]) -> str:
    measured = [row for row in table if any(row.scores[column] for column in columns)]
    lines = [
        [named(row), *(score(row, column, notes) for column in columns)]
        for row in sorted(measured, key=lambda row: (*best_first(row, "reblur_psnr"), row.method))
    ]
    return grid(["method", *(HEADINGS[column] for column in columns)], lines, left=1) if lines else ""
