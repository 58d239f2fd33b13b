"""A sweep as a table: every method on every capture, beside how blurred the capture is, all from records."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from reports.columns import SCORES
from reports.records import Record, rounded
from reports.rows import by_view, rows
from reports.statistics import mean_of

COLUMNS = ("capture", "method", "coc_px", "psnr_photograph_sharp", "score", "seeds", "low", "high")
"""Of the CSV, "score" under the name of the score."""


def table(records: Sequence[Record], score: str) -> list[dict[str, Any]]:
    """A row for each capture and method with finished jobs, captures from the least blurred to the most.

    coc_px: diameter of the largest circle of confusion, None where unknown; `score`, a name in `SCORES`, with the ends
    of its 95 % interval over views (seeds averaged first), None where it has none. Raises RecordError where records
    cannot stand in one row, and ValueError for an unknown score.
    """
    if score not in SCORES:
        raise ValueError(f"there is no score {score!r}; known are {', '.join(SCORES)}")
    found = []
    for capture in dict.fromkeys(record.capture.name for record in records):
        of_capture = [record for record in records if record.capture.name == capture]
        difficulty = of_capture[0].capture.difficulty
        largest = difficulty.coc_radius_px.get("max") if difficulty else None
        for row in rows(of_capture):
            values = by_view([record for record in of_capture if record.method.name == row.method], score)
            interval = mean_of(values) if values else None
            found.append(
                {
                    "capture": capture,
                    "method": row.method,
                    "coc_px": rounded(None if largest is None else 2 * largest),
                    "psnr_photograph_sharp": difficulty.psnr_photograph_sharp if difficulty else None,
                    score: rounded(interval.mean if interval else None),
                    "low": rounded(interval.low if interval else None),
                    "high": rounded(interval.high if interval else None),
                    "seeds": row.seeds,
                }
            )
    order = {name: i for i, name in enumerate(dict.fromkeys(row["capture"] for row in found))}
    return sorted(found, key=lambda row: (row["coc_px"] or 0.0, order[row["capture"]]))


def as_csv(found: Sequence[dict[str, Any]], score: str) -> str:
    """The table of `table` for programs."""
    text = io.StringIO()
    columns = [score if column == "score" else column for column in COLUMNS]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()
