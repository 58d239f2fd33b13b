"""The cells of Markdown tables: text that cannot break them, footnotes, and a row's numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from reports.columns import DASH, HEADINGS, RANKED, formatted
from reports.rows import Row, best_first


def escaped(text: object) -> str:
    """`text` on one line, without what Markdown would take for a table cell or a tag."""
    return " ".join(str(text).split()).replace("|", r"\|").replace("<", "&lt;")


def grid(header: Sequence[str], lines: Iterable[Sequence[str]], left: int) -> str:
    """A Markdown table whose first `left` columns are text and whose others are numbers."""
    rule = [":--" if column < left else "--:" for column in range(len(header))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *lines))


def footnote(note: str, notes: dict[str, int]) -> str:
    """The mark of `note`, numbered into `notes`; nothing for an empty one."""
    return f" [^{notes.setdefault(note, len(notes) + 1)}]" if note else ""


def full_name(method: str, changed: str) -> str:
    """A method's name; that of an ablation says what was changed."""
    return f"{method} ({changed})" if changed else method


def label(method: str, changed: str) -> str:
    """`full_name` in a table."""
    return escaped(full_name(method, changed))


def named(row: Row) -> str:
    """A row's name; italic for what does not compete."""
    name = label(row.method, row.changed)
    return name if row.competes else f"*{name}*"


def kind(row: Row) -> str:
    """What a row is, with its marks."""
    marks = (
        row.kind,
        "ablation" if row.changed else "",
        "oracle" if row.oracle else "",
        "lens data" if row.uses_optics else "",
    )
    return ", ".join(mark for mark in marks if mark)


def outcome(row: Row) -> str:
    """What became of a row's jobs."""
    return row.status if row.done == row.jobs else f"{row.status} ({row.done} of {row.jobs} jobs done)"


def mean(row: Row, column: str) -> str:
    """A mean, or a dash."""
    interval = row.scores[column]
    return formatted(column, interval.mean if interval else None)


def spread(row: Row, column: str) -> str:
    """What stands behind a mean: half its interval; nothing where that is not known."""
    interval = row.scores[column]
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f" ± {formatted(column, (interval.high - interval.low) / 2)}"


def score(row: Row, column: str, notes: dict[str, int]) -> str:
    """A mean with half its interval, or a dash with its reason."""
    return mean(row, column) + spread(row, column) + footnote(row.notes.get(column, ""), notes)


def seeds(row: Row, column: str) -> str:
    """How many seeds, and how far they lie apart."""
    spread = row.seed_spread[column]
    return str(row.seeds) if spread is None else f"{row.seeds} (s.d. {formatted(column, spread)})"


def track_table(
    table: Sequence[Row],
    columns: Sequence[str],
    notes: dict[str, int],
    facts: Mapping[str, Callable[[Row], str]] | None = None,
    more: Sequence[Sequence[str]] = (),
) -> str:
    """The table of one track, best first by the column that is ranked; empty where no method has a number in it.

    `facts` are further columns of text by heading, `more` further lines, of other data.
    """
    if not any(row.scores[column] for row in table for column in columns):
        return ""
    lead = next(column for column in columns if column in RANKED)
    facts = {"kind": kind, "status": outcome} if facts is None else {"kind": kind, **facts, "status": outcome}
    header = ["rank", "method", *facts, "captures", "seeds", *(HEADINGS[name] for name in columns)]
    lines = [
        [
            str(row.ranks.get(lead, DASH)),
            named(row),
            *(fact(row) for fact in facts.values()),
            str(row.captures),
            seeds(row, lead),
            *(score(row, column, notes) for column in columns),
        ]
        for row in sorted(table, key=lambda row: (*best_first(row, lead), row.method))
    ]
    return grid(header, [*lines, *more], left=2 + len(facts))
