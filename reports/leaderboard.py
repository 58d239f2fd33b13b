"""The leaderboard of a run, as Markdown and CSV: pure functions of its records, whatever their order."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from reports.columns import COLUMNS, RESULT_COLUMNS, formatted
from reports.markdown import brief, markdown
from reports.records import Record, write_atomic
from reports.rows import Row, check, in_order, rows

__all__ = ["FILES", "Row", "brief", "check", "formatted", "leaderboard_csv", "markdown", "results_csv", "rows", "write"]

FILES = ("leaderboard.md", "leaderboard.csv", "results.csv")


def write(run_folder: Path, records: Iterable[Record]) -> tuple[Path, ...]:
    """Write `FILES` into a folder, each atomically. Gives their paths. Raises RecordError, OSError."""
    ordered = in_order(records)
    texts = (markdown(ordered), leaderboard_csv(ordered), results_csv(ordered))
    paths = tuple(Path(run_folder) / name for name in FILES)
    for path, text in zip(paths, texts, strict=True):
        write_atomic(path, text)
    return paths


def leaderboard_csv(records: Iterable[Record]) -> str:
    """One line per method, `COLUMNS`, empty where a column does not apply."""
    return _csv(COLUMNS, (row.cells().values() for row in rows(records)))


def results_csv(records: Iterable[Record]) -> str:
    """One line per value of the finished jobs (tidy): whatever the leaderboard says follows from it."""
    return _csv(
        RESULT_COLUMNS,
        (
            (
                record.capture.name,
                record.method.name,
                record.seed,
                value.track,
                value.view,
                value.metric,
                value.value,
            )
            for record in in_order(records)
            for value in record.values
            if record.status == "ok"
        ),
    )


def _csv(header: Sequence[str], lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow(str(cell).lower() if isinstance(cell, bool) else cell for cell in line)
    return text.getvalue()
