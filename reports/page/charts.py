"""What a table cannot show at a glance, as SVG: differences with their intervals, and what quality costs."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import TYPE_CHECKING, Any

from reports.columns import SCORES
from reports.records import Record
from reports.rows import Row, by_view
from reports.statistics import Interval, paired_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, ACCENT = "#30343b", "#9aa1ab", "#2368c4"
WIDTH = 8.2  # inches


def against(records: Sequence[Record], table: Sequence[Row], column: str, reference: str) -> dict[str, Interval]:
    """Each method's score of `column` minus that of the method `reference`, paired by view, best first."""
    own: dict[str, list[Record]] = {}
    for record in records:
        own.setdefault(record.method.name, []).append(record)
    views = {row.method: by_view(own[row.method], column) for row in table}
    found = {
        method: difference
        for method, scores in views.items()
        if method != reference and (difference := paired_difference(scores, views[reference])) is not None
    }
    return dict(sorted(found.items(), key=lambda item: -item[1].mean))


def differences(found: Mapping[str, Interval], reference: str, muted: Sequence[str]) -> str:
    """Bars from zero, best on top, with the ends of their intervals; those of `muted` methods pale."""
    figure, axes = _figure(0.9 + 0.27 * len(found))
    for place, (method, interval) in enumerate(found.items()):
        axes.barh(place, interval.mean, height=0.62, color=MUTED if method in muted else ACCENT)
        if interval.low is not None and interval.high is not None:
            axes.plot([interval.low, interval.high], [place, place], color=INK, linewidth=1.4, solid_capstyle="butt")
    axes.set_yticks(range(len(found)), [_plain(method) for method in found])
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel(f"PSNR minus that of {_plain(reference)}, dB")
    axes.grid(axis="x", color="#e3e6ea")
    return _svg(figure)


def quality_against_cost(table: Sequence[Row], muted: Sequence[str]) -> str:
    """Novel-view PSNR by seconds of training; a line joins the methods that none beats at less time. "" for fewer
    than two methods with both."""
    points = [
        (row.costs["train_s"], interval.mean, row.method)
        for row in table
        if row.costs["train_s"] and (interval := row.scores["psnr"])
    ]
    if len(points) < 2:
        return ""
    figure, axes = _figure(4.2)
    front = unbeaten((seconds, psnr) for seconds, psnr, method in points if method not in muted)
    if front:
        axes.plot(*zip(*front, strict=True), color=ACCENT, linewidth=1, alpha=0.6, drawstyle="steps-post")
    axes.set_xscale("log")
    high, low = (end(psnr for _, psnr, _ in points) for end in (max, min))
    named: list[tuple[float, float]] = []
    for seconds, psnr, method in points:
        pale = method in muted
        axes.plot(seconds, psnr, "o", markersize=6, color=MUTED if pale else ACCENT)
        # Names of points that all but coincide stand one below the other.
        near = sum(abs(log(seconds / x)) < 0.3 and abs(psnr - y) < 0.04 * (high - low) for x, y in named)
        named.append((seconds, psnr))
        place = (6, 3 - 11 * near)
        color = MUTED if pale else INK
        axes.annotate(_plain(method), (seconds, psnr), place, textcoords="offset points", fontsize=9, color=color)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    axes.margins(x=0.15)
    axes.set_xlabel("training, s")
    axes.set_ylabel("novel views, PSNR, dB")
    axes.grid(color="#e3e6ea")
    return _svg(figure)


def unbeaten(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of points (cost, quality) those that no other equals at less cost or beats at the same; cheapest first."""
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or quality > front[-1][1]:
            front.append((cost, quality))
    return front


def reference_of(table: Sequence[Row], column: str) -> str | None:
    """The method to compare with: the floor of the track where it takes part, else the worst; None where nobody has
    a score."""
    means = {row.method: interval.mean for row in table if (interval := row.scores[column])}
    floor = {"novel": "3dgs", "deblur": "input"}[SCORES[column][0]]
    return floor if floor in means else min(means, key=lambda method: means[method], default=None)


def _plain(text: str) -> str:
    """`text` without what matplotlib would take for a formula."""
    return text.replace("$", r"\$")


def _figure(height: float) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure) -> str:
    """The element alone, the same bytes each time, with text that can be found and copied."""
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.family": "sans-serif"}):
        figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    return re.sub(r"^.*?(?=<svg)", "", text.getvalue(), flags=re.DOTALL)
