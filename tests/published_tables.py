"""The tables of README and docs, made from committed records. `python tests/published_tables.py` writes them anew."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.perf import rasterizer
from reports import leaderboard, records

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "reports" / "published"


def tables() -> dict[tuple[str, str], str]:
    """Markdown by (file, name of the table in it)."""
    return {
        ("README.md", "demo"): leaderboard.brief(records.find(PUBLISHED / "demo")),
        ("docs/measurements.md", "seed"): leaderboard.brief(records.find(PUBLISHED / "seed")),
        ("docs/measurements.md", "chair"): leaderboard.brief(records.find(PUBLISHED / "chair")),
        ("docs/measurements.md", "densification"): densification(),
        ("docs/measurements.md", "rasterizer"): speed(),
    }


def densification() -> str:
    """The default beside relocation, seed 0."""
    rows = [
        {
            "capture, trained on": label,
            "gradient": novel_psnr(folder, capture, method),
            "relocate": novel_psnr("relocate", capture, method),
        }
        for label, folder, capture, method in (
            ("beetle, sharp twins", "demo", "demo", "sharp-3dgs"),
            ("beetle, photographs", "demo", "demo", "3dgs"),
            ("seed, sharp twins", "seed", "seed-demo", "sharp-3dgs"),
            ("seed, photographs", "seed", "seed-demo", "3dgs"),
            ("chair", "chair", "chair-200", "3dgs"),
        )
    ]
    return grid(rows)


def novel_psnr(folder: str, capture: str, method: str) -> str:
    wanted = (capture, method, 0)
    (record,) = (
        record
        for record in records.find(PUBLISHED / folder)
        if (record.capture.name, record.method.name, record.seed) == wanted
    )
    (mean,) = (a.mean for a in record.aggregates if (a.track, a.metric) == ("novel", "psnr"))
    return f"{mean:.2f}"


def speed() -> str:
    """`bench perf rasterizer` without the column of a GPU that was not there."""
    measured = json.loads((PUBLISHED / "perf" / "rasterizer-cpu.json").read_text())["rasterizer"]
    return grid([{k: v for k, v in row.items() if k != "gsplat ms"} for row in rasterizer.table(measured)])


def grid(rows: Sequence[Mapping[str, str]]) -> str:
    rule = [":--" if index == 0 else "--:" for index in range(len(rows[0]))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (rows[0], rule, *(row.values() for row in rows)))


def parts(path: str, name: str) -> tuple[str, str, str]:
    """A file's text before, inside and after the named table."""
    text = (ROOT / path).read_text()
    before, rest = text.split(f"<!-- table {name} -->\n")
    inside, after = rest.split("<!-- /table -->", 1)
    return before + f"<!-- table {name} -->\n", inside, "<!-- /table -->" + after


if __name__ == "__main__":
    for (path, name), table in tables().items():
        before, _, after = parts(path, name)
        (ROOT / path).write_text(f"{before}{table}\n{after}")
