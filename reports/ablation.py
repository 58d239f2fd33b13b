"""An ablation as a table: one contestant, a row for each set of changed settings, all from records."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reports.cells import escaped, footnote, grid, outcome, score
from reports.columns import COSTS, DASH, HEADINGS, SCORES, formatted
from reports.records import Record, round_significant, rounded
from reports.rows import Row, by_view, rows
from reports.statistics import Interval, paired_difference

PUBLISHED = ("psnr", "ssim", "lpips")
"""Columns that a source's own numbers may be given for."""


@dataclass(frozen=True)
class Variant:
    """One row. changes: "FAMILY.SETTING=VALUE", none for the contestant as it is.

    records: of its jobs, all of one contestant. published: the source's own numbers for it by column.
    """

    name: str
    changes: Sequence[str]
    records: Sequence[Record]
    published: Mapping[str, float] = field(default_factory=dict)

    def row(self) -> Row:
        """Its means over captures and seeds. Raises RecordError where they cannot stand in one row."""
        (row,) = rows(self.records)
        return row


def differences(variants: Sequence[Variant]) -> list[Interval | None]:
    """Novel-view PSNR of each variant minus that of the contestant as it is, paired by view; None for itself, and
    where they share no view."""
    whole = next((by_view(variant.records, "psnr") for variant in variants if not variant.changes), {})
    return [
        paired_difference(by_view(variant.records, "psnr"), whole) if variant.changes else None for variant in variants
    ]


def markdown(title: str, variants: Sequence[Variant], data: str = "") -> str:
    """The table for people; `data` says what the source's own numbers were measured on."""
    shown = [variant.row() for variant in variants]
    columns = [column for column in SCORES if any(row.scores[column] for row in shown)]
    columns = [column for column in ("psnr", "ssim", "lpips", "reblur_psnr", "coc_mae_px") if column in columns]
    published = [column for column in PUBLISHED if any(column in variant.published for variant in variants)]
    header = ["row", "changed", "status", *(HEADINGS[column] for column in columns), "difference, dB"]
    header += [HEADINGS[column] for column in ("train_s", "peak_mb")]
    header += [f"*{HEADINGS[column]}, published*" for column in published]
    notes: dict[str, int] = {}
    lines = [
        [
            escaped(variant.name),
            escaped(", ".join(variant.changes) or DASH),
            outcome(row),
            *(score(row, column, notes) for column in columns),
            difference_text(difference),
            *(formatted(cost, row.costs[cost]) + _absence(row, cost, notes) for cost in ("train_s", "peak_mb")),
            *(formatted(column, variant.published.get(column)) for column in published),
        ]
        for variant, row, difference in zip(variants, shown, differences(variants), strict=True)
    ]
    about = variants[0].records[0]
    names = ", ".join(sorted({record.capture.name for variant in variants for record in variant.records}))
    seeds = ", ".join(sorted({str(record.seed) for variant in variants for record in variant.records}))
    preset = about.method.preset.partition(" with ")[0]
    caption = (
        f"`{about.method.name}`, preset {preset} on {about.environment.device}; captures: {names}; seeds: {seeds}. "
        "± is half the 95 % bootstrap interval over views; the difference is in novel-view PSNR to the unchanged "
        "contestant, paired by view, with the ends of its interval."
    )
    if published:
        caption += f" The columns in italics are the source's own numbers, on other data ({data})."
    remarks = "\n".join(f"[^{number}]: {escaped(note)}" for note, number in notes.items())
    return "\n\n".join(filter(None, [f"# {title}", caption, grid(header, lines, left=3), remarks])) + "\n"


def table(variants: Sequence[Variant]) -> list[dict[str, object]]:
    """The rows as plain values, None where there is none; what the CSV holds."""
    found: list[dict[str, object]] = []
    for variant, difference in zip(variants, differences(variants), strict=True):
        row = variant.row()
        scores = {column: interval and round_significant(interval.mean) for column, interval in row.scores.items()}
        costs = {column: cost and round_significant(cost) for column, cost in row.costs.items()}
        ends = (difference.mean, difference.low, difference.high) if difference else (None, None, None)
        found.append(
            {
                "row": variant.name,
                "changes": " ".join(variant.changes),
                "status": row.status,
                "captures": row.captures,
                "seeds": row.seeds,
                **{column: scores[column] for column in SCORES},
                **dict(zip(("difference", "difference_low", "difference_high"), map(rounded, ends), strict=True)),
                **{column: costs[column] for column in COSTS},
                **{f"published_{column}": variant.published.get(column) for column in PUBLISHED},
            }
        )
    return found


def as_csv(variants: Sequence[Variant]) -> str:
    """`table` with a header line, empty where there is no value."""
    lines = table(variants)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


def difference_text(interval: Interval | None) -> str:
    """A difference in dB with the ends of its interval, a dash for none."""
    if interval is None:
        return DASH
    if interval.low is None or interval.high is None:
        return f"{interval.mean:+.2f}"
    return f"{interval.mean:+.2f} ({interval.low:+.2f} to {interval.high:+.2f})"


def _absence(row: Row, column: str, notes: dict[str, int]) -> str:
    return footnote(row.notes[column], notes) if column in row.notes else ""
