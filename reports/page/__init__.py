"""The leaderboard as one page to look through: charts, images side by side, tables that sort, commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reports.cells import full_name
from reports.markdown import markdown
from reports.page import charts
from reports.records import Record
from reports.rows import Row, in_order, rows

HERE = Path(__file__).parent

Images = Mapping[str, Mapping[str, Sequence[tuple[str, str]]]]
"""By capture and view: what there is to see of it, as (label, address relative to the page), worst first."""

CHARTS = {"Novel views": "psnr", "Novel views without sharp twins": "in_focus_psnr", "Deblurring": "deblur_psnr"}
"""Titles of the bars of differences, and the columns that they compare."""


def html(records: Iterable[Record], images: Images, sheets: Sequence[tuple[str, str]], absent: Sequence[str]) -> str:
    """One HTML document that needs nothing but the images it names.

    sheets: pictures as (caption, address relative to the page). absent: sentences about what cannot be shown.
    Raises RecordError where the records cannot stand in one table.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    ordered = in_order(records)
    table = rows(ordered)
    outside = [row.method for row in table if not row.competes]
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html").render(
        style=Markup((HERE / "style.css").read_text("utf-8")),
        script=Markup((HERE / "page.js").read_text("utf-8")),
        subject=_subject(ordered, table),
        bars=[(title, reference, Markup(svg)) for title, reference, svg in _bars(ordered, table, outside)],
        front=Markup(charts.quality_against_cost(table, outside)),
        images=Markup(json.dumps(images).replace("<", "\\u003c")),
        has_images=any(images.values()),
        best=next((row.method for row in table if row.competes), ""),
        sheets=sheets,
        absent=absent,
        leaderboard=Markup(_as_html(markdown(ordered))),
        jobs=_jobs(ordered),
    )


def _subject(records: Sequence[Record], table: Sequence[Row]) -> str:
    """What the page is about, in a few words."""
    captures = list(dict.fromkeys(record.capture.name for record in records))
    seeds = sorted({record.seed for record in records})
    named = ", ".join(captures[:3]) + (f" and {len(captures) - 3} more" if len(captures) > 3 else "")
    counted = f"{len(table)} method{'s' if len(table) != 1 else ''}"
    return f"{named}: {counted}, seed{'s' if len(seeds) != 1 else ''} {', '.join(map(str, seeds))}"


def _bars(records: Sequence[Record], table: Sequence[Row], outside: Sequence[str]) -> list[tuple[str, str, str]]:
    found = []
    for title, column in CHARTS.items():
        reference = charts.reference_of(table, column)
        if reference and (differences := charts.against(records, table, column, reference)):
            found.append((title, reference, charts.differences(differences, reference, outside)))
    return found


def _as_html(text: str) -> str:
    """Markdown of ours as HTML; nothing in it is taken for a tag."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.footnote import footnote_plugin

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").use(footnote_plugin)
    # A note that many cells refer to has one number in all of them.
    parser.add_render_rule("footnote_caption", lambda self, tokens, i, options, env: str(tokens[i].meta["id"] + 1))
    rendered: str = parser.render(text.removeprefix("# Leaderboard\n\n"))
    return rendered


def _jobs(records: Sequence[Record]) -> dict[str, list[dict[str, str]]]:
    """Of every method, as tables name it, its jobs with the commands that repeat them."""
    jobs: dict[str, list[dict[str, str]]] = {}
    for record in records:
        jobs.setdefault(full_name(record.method.name, record.method.changed), []).append(
            {
                "capture": record.capture.name,
                "seed": str(record.seed),
                "status": record.status,
                "command": shlex.join(record.command),
            }
        )
    return dict(sorted(jobs.items()))
