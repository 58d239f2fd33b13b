"""`bench list`: what there is. Answers at once, so it imports neither torch nor numpy, nor even Typer."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from datasets.errors import InputError

if TYPE_CHECKING:
    from methods.contestant import Entry

USAGE = "Usage: bench list {methods|captures|metrics|presets|objects} [--json]"


def methods() -> list[dict[str, Any]]:
    """Every contestant, this package's and those of installed packages."""
    from methods.contestants import registry

    before, after = ("name", "status", "outputs"), ("trained_on", "title", "citation", "licence", "version")
    rows = []
    for entry in registry():
        weights = {"weights": _weights(entry)}
        told = ({name: getattr(entry, name) for name in part} for part in (before, after))
        rows.append({**next(told), **weights, **next(told), "oracle": entry.oracle is not None})
    return rows


def _weights(entry: "Entry") -> str:
    """Where the weights that a contestant needs are: nowhere if it needs none."""
    from methods.restoration import references

    named = references.named_in(entry.changes)
    if not named:
        return "–"
    if not all(references.file_of(name).is_file() for name in named):
        return "missing"
    return "shipped" if named[0].startswith(references.SHIPPED) else "added"


def captures() -> list[dict[str, Any]]:
    """Captures that ship with the package, and those under ./captures."""
    from pathlib import Path

    builtin = Path(__file__).parent.parent / "datasets" / "builtin"
    found = []
    for root, kind in ((builtin, "built in"), (Path("captures"), "here")):
        for path in sorted(root.glob("*/transforms.json")):
            name = path.parent.name if root == builtin else str(path.parent)
            found.append({"name": name, "where": kind, "path": str(path.parent)})
    return found


def metrics() -> list[dict[str, Any]]:
    """The metrics of the leaderboard."""
    from bench.metric_table import METRICS

    keys = ("name", "better", "unit", "version", "title", "implementation")
    return [{key: getattr(metric, key) for key in keys} for metric in METRICS.values()]


def presets() -> list[dict[str, Any]]:
    """Budgets of `bench run` and sizes of `bench synth`."""
    from datasets.synthesis import catalogue
    from methods.configuration import PRESETS

    budgets = [{"name": name, "of": "bench run", "title": title} for name, title in PRESETS.items()]
    return budgets + [
        {"name": name, "of": "bench synth", "title": title} for name, title in catalogue.presets().items()
    ]


def objects() -> list[dict[str, Any]]:
    """What `bench synth` can photograph."""
    from datasets.synthesis import catalogue

    return [{"name": name, "title": title} for name, title in catalogue.objects().items()]


KINDS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "methods": methods,
    "captures": captures,
    "metrics": metrics,
    "presets": presets,
    "objects": objects,
}


def main(argv: list[str]) -> int:
    """`bench list KIND [--json]`."""
    as_json = "--json" in argv
    words = [word for word in argv if word != "--json"]
    if any(word in ("--help", "-h") for word in words):
        print(USAGE)
        return 0
    if len(words) != 1 or words[0] not in KINDS:
        from methods.registry import suggestion

        what = words[0] if words else "nothing"
        raise InputError(f"bench list cannot list {what}; {suggestion(what, KINDS)}")
    rows = KINDS[words[0]]()
    if as_json:
        import json

        print(json.dumps(rows, indent=1))
    else:
        # The long fields are for --json.
        hidden = ("citation", "licence", "version", "oracle", "path", "implementation")
        show(rows, *[column for column in (rows[0] if rows else ()) if column not in hidden])
    return 0


def show(rows: list[dict[str, Any]], *columns: str) -> None:
    """Print rows as aligned columns."""
    if not rows:
        print("none")
        return
    cells = [list(columns)] + [[_text(row[column]) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
