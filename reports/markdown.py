"""The leaderboard for people, in Markdown: a table per track, what it rests on, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reports.cells import escaped, footnote, grid, label, named, track_table
from reports.columns import COSTS, DASH, HEADINGS, formatted
from reports.kernel_tables import kernel_accuracy
from reports.records import Capture, Method, Record
from reports.rows import Row, by_view, competes, finished_jobs, in_order, job_name, rows
from reports.statistics import rank_groups, stratified_mean


def markdown(records: Iterable[Record]) -> str:
    """The leaderboard for people: a table per track, what it rests on, and what failed."""
    ordered = in_order(records)
    table = rows(ordered)
    if not table:
        return "# Leaderboard\n\nNo jobs yet.\n"
    notes: dict[str, int] = {}
    parts = [
        "# Leaderboard",
        _captures(ordered),
        _scores("Novel views", _NOVEL, table, ("psnr", "ssim", "lpips", "mask_psnr"), notes),
        _scores("Novel views without sharp twins", _IN_FOCUS, table, ("in_focus_psnr",), notes),
        _scores(
            "Deblurring", _DEBLUR, table, ("deblur_psnr", "deblur_ssim", "deblur_lpips", "deblur_mask_psnr"), notes
        ),
        kernel_accuracy(ordered, table, notes),
        _costs(ordered, table, notes),
        _wins(ordered),
        _failures(ordered),
        _warnings(ordered),
        _contestants(ordered),
        _metrics(ordered),
        _environments(ordered),
        "\n".join(f"[^{number}]: {escaped(note)}" for note, number in notes.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_NOVEL = (
    "Sharp renders at held-out poses against the sharp twin. ± is half the 95 % bootstrap interval over "
    "views. Methods of one rank are tied: the paired difference to the best of them covers zero. "
    "Controls (in italics) and methods that lack a view have no rank."
)
_IN_FOCUS = (
    "Captures that have no truth: sharp renders at held-out poses against the photographs, where these are in focus, "
    "which is the sharpest 1 % of all pixels of a capture. Marks as above."
)
_DEBLUR = "Sharp outputs at the training poses against their sharp twins; marks as above."


def brief(records: Iterable[Record]) -> str:
    """One small Markdown table, novel views and deblurring side by side, for a README."""
    header = ["rank", "method", "PSNR ↑", "SSIM ↑", "LPIPS ↓", "deblurred PSNR ↑", "training, s"]
    columns = ("psnr", "ssim", "lpips", "deblur_psnr")
    lines = []
    for row in rows(records):
        means = [formatted(name, interval.mean if (interval := row.scores[name]) else None) for name in columns]
        rank = str(row.ranks.get("psnr", DASH))
        lines.append([rank, named(row), *means, formatted("train_s", row.costs["train_s"])])
    return grid(header, lines, left=2)


def _scores(title: str, caption: str, table: Sequence[Row], columns: Sequence[str], notes: dict[str, int]) -> str:
    """The section of one track; empty where no method has a number in it."""
    scores = track_table(table, columns, notes)
    return f"## {title}\n\n{caption}\n\n{scores}" if scores else ""


def _costs(records: Sequence[Record], table: Sequence[Row], notes: dict[str, int]) -> str:
    measured: dict[str, set[str]] = {}
    for record in finished_jobs(records):
        if record.memory:
            measured.setdefault(record.method.name, set()).add(record.memory.of)
    lines = [
        [
            named(row),
            *(formatted(name, row.costs[name]) + footnote(row.notes.get(name, ""), notes) for name in COSTS),
            ", ".join(sorted(measured.get(row.method, {DASH}))),
        ]
        for row in table
    ]
    header = ["method", *(HEADINGS[name] for name in COSTS), "memory of"]
    return f"## Cost\n\nMean per job.\n\n{grid(header, lines, left=1)}"


def _captures(records: Sequence[Record]) -> str:
    captures = {record.capture.name: record.capture for record in records}
    header = [
        "capture",
        "content",
        "train views",
        "test views",
        "photograph PSNR",
        "on the object",
        "noise floor",
        "CoC radius, px",
        "never in focus, px",
    ]
    lines = [_capture(capture) for capture in captures.values()]
    caption = (
        "Photograph PSNR: the photographs against their sharp twins. Noise floor: PSNR on the object that "
        "their noise alone allows. CoC radius: quantiles of its size over the object. Never in focus: the 99th "
        "percentile over its surface of the least CoC radius in any training view."
    )
    return f"## Captures\n\n{caption}\n\n{grid(header, lines, left=2)}"


def _capture(capture: Capture) -> list[str]:
    hard = capture.difficulty
    radii = sorted(hard.coc_radius_px.items(), key=lambda item: (item[1], item[0])) if hard else []
    return [
        escaped(capture.name),
        f"`{capture.content_hash[:12]}`",
        str(capture.views_train),
        str(capture.views_test),
        formatted("psnr", hard.psnr_photograph_sharp if hard else None),
        formatted("psnr", hard.psnr_photograph_sharp_on_object if hard else None),
        formatted("psnr", hard.noise_floor_on_object if hard else None),
        ", ".join(f"{escaped(name)} {radius:.2f}" for name, radius in radii) or DASH,
        DASH if capture.unfocused_px is None else f"{capture.unfocused_px:.2f}",
    ]


def _wins(records: Sequence[Record]) -> str:
    """Novel-view PSNR by capture: an average can hide that a method wins one capture and loses the rest."""
    captures = sorted({record.capture.name for record in records})
    scores: dict[str, dict[str, float]] = {}
    best: dict[str, tuple[str, ...]] = {}
    competing = {record.method.name for record in records if competes(record.method)}
    labels = {record.method.name: label(record.method.name, record.method.changed) for record in records}
    for capture in captures:
        own: dict[str, list[Record]] = {}
        for record in records:
            if record.capture.name == capture:
                own.setdefault(record.method.name, []).append(record)
        views = {method: by_view(jobs, "psnr") for method, jobs in own.items()}
        views = {method: values for method, values in views.items() if values}
        scores[capture] = {method: stratified_mean(values) for method, values in views.items()}
        every = {key for values in views.values() for key in values}
        complete = {name: values for name, values in views.items() if name in competing and values.keys() == every}
        best[capture] = next(iter(rank_groups(complete)), ())
    methods = sorted({method for of in scores.values() for method in of})
    if len(captures) < 2 or not methods:
        return ""
    wins = {method: sum(method in group for group in best.values()) for method in methods}
    lines = []
    for method in sorted(methods, key=lambda name: (-wins[name], name)):
        cells = []
        for capture in captures:
            text = formatted("psnr", scores[capture].get(method))
            cells.append(f"**{text}**" if method in best[capture] else text)
        lines.append([labels[method], str(wins[method]) if method in competing else DASH, *cells])
    caption = "Novel-view PSNR. Bold: the best, and whatever is tied with it; each counts as a win."
    header = ["method", "wins", *(escaped(capture) for capture in captures)]
    return f"## By capture\n\n{caption}\n\n{grid(header, lines, left=1)}"


def _warnings(records: Sequence[Record]) -> str:
    lines = [f"- {escaped(job_name(job))}: {escaped(text)}" for job in finished_jobs(records) for text in job.warnings]
    return "\n".join(["## Warnings\n", *lines]) if lines else ""


def _failures(records: Sequence[Record]) -> str:
    lines = []
    for record in records:
        if record.error:
            step = "" if record.error.step is None else f", step {record.error.step}"
            reason = f"{record.status}: {record.error.reason} ({record.error.kind}{step})"
            lines.append(f"- {escaped(job_name(record))}: {escaped(reason)}")
    return "## Failed and skipped\n\n" + "\n".join(lines) if lines else ""


def _contestants(records: Sequence[Record]) -> str:
    about = {
        (
            label(record.method.name, record.method.changed),
            escaped(record.method.title),
            escaped(record.method.version),
            escaped(record.method.preset),
            f"`{record.method.config_hash[:12]}`",
            escaped(record.method.trained_on),
            escaped(record.method.citation) or DASH,
            _published(record.method),
        )
        for record in records
    }
    header = [
        "method",
        "title",
        "version",
        "preset",
        "configuration",
        "trained on",
        "citation",
        "published, on other data",
    ]
    return f"## Contestants\n\n{grid(header, sorted(about), left=len(header))}" if about else ""


def _published(method: Method) -> str:
    """The source's own numbers. They stand beside ours only to be recognised: the data are others."""
    if not method.published:
        return DASH
    numbers = [f"{name} {value}" for name, value in sorted(method.published.items()) if name not in ("data", "kernel")]
    return escaped(f"{', '.join(numbers)} ({method.published.get('data', 'data not named')})")


def _metrics(records: Sequence[Record]) -> str:
    lines = set()
    for record in records:
        for name, metric in record.metrics.items():
            weights = f", weights `{metric.weights_sha256[:12]}`" if metric.weights_sha256 else ""
            lines.add(f"- {escaped(name)}: version {escaped(metric.version)}{weights}")
    return "## Metrics\n\n" + "\n".join(sorted(lines)) if lines else ""


def _environments(records: Sequence[Record]) -> str:
    lines = set()
    for record in records:
        used = record.environment
        source = f"source {used.git_sha[:12]}{' with changes' if used.git_dirty else ''}" if used.git_sha else ""
        facts = (
            used.cpu,
            used.gpu or "",
            f"driver {used.driver}" if used.driver else "",
            f"device {used.device}",
            f"{used.threads} thread{'s' if used.threads != 1 else ''} a job",
            f"Python {used.python}",
            *(f"{package} {version}" for package, version in sorted(used.packages.items())),
            source,
        )
        lines.add("- " + escaped(", ".join(fact for fact in facts if fact)))
    rasterizers = sorted({record.environment.rasterizer for record in records if record.environment.rasterizer})
    if rasterizers:
        lines.add(f"- rasterizer: {escaped(', '.join(rasterizers))}")
    if not lines:
        return ""
    return "\n\n".join(part for part in ("## Environment", "\n".join(sorted(lines)), _sources(records)) if part)


def _sources(records: Sequence[Record]) -> str:
    """A sentence where methods were made from different sources: part of their difference may come of that."""
    methods: dict[str, set[str]] = {}
    for record in records:
        source = str(record.identity.parts.get("source") or "")[:12]
        methods.setdefault(f"`{source}`" if source else "unknown", set()).add(escaped(record.method.name))
    if len(methods) < 2:
        return ""
    made = "; ".join(f"{source}: {', '.join(sorted(names))}" for source, names in sorted(methods.items()))
    return f"The methods were made with {len(methods)} versions of the source ({made})."
