"""The leaderboard of a run, as Markdown and CSV: pure functions of its records, whatever their order."""

from __future__ import annotations

import csv
import io
import statistics as plain_statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.records import Capture, Method, Record, RecordError, Status, round_significant, write_atomic
from reports.statistics import Interval, Key, mean_of, rank_groups, ranks, stratified_mean

SCORES: dict[str, tuple[str, str]] = {
    "psnr": ("novel", "psnr"),
    "ssim": ("novel", "ssim"),
    "lpips": ("novel", "lpips"),
    "mask_psnr": ("novel", "mask_psnr"),
    "deblur_psnr": ("deblur", "psnr"),
    "deblur_ssim": ("deblur", "ssim"),
    "deblur_lpips": ("deblur", "lpips"),
    "deblur_mask_psnr": ("deblur", "mask_psnr"),
    "reblur_psnr": ("kernel", "reblur_psnr"),
    "identity_psnr": ("kernel", "identity_psnr"),
    "coc_mae_px": ("kernel", "coc_mae_px"),
}
"""The columns that come from per-view values, with the track and the metric of each."""

COSTS: dict[str, Callable[[Record], float | None]] = {
    "train_s": lambda record: (record.times or {}).get("train_s"),
    "peak_mb": lambda record: record.memory.peak_mb if record.memory else None,
    "gaussians": lambda record: record.gaussians,
}
"""The columns that come from the job as a whole."""

MARKDOWN_ONLY = ("deblur_mask_psnr",)
"""Scores that people see and the CSV leaves out, so that its columns stay what they are."""

COLUMNS = (
    *("method", "status", "oracle", "captures", "seeds"),
    *(column for column in SCORES if column not in MARKDOWN_ONLY),
    *COSTS,
)

RESULT_COLUMNS = ("capture", "method", "seed", "track", "view", "metric", "value")

RANKED = ("psnr", "deblur_psnr")
"""Columns that a rank is given for."""

FILES = ("leaderboard.md", "leaderboard.csv", "results.csv")

DASH = "–"

HEADINGS = {
    "psnr": "PSNR ↑",
    "ssim": "SSIM ↑",
    "lpips": "LPIPS ↓",
    "mask_psnr": "mask PSNR ↑",
    "deblur_psnr": "PSNR ↑",
    "deblur_ssim": "SSIM ↑",
    "deblur_lpips": "LPIPS ↓",
    "deblur_mask_psnr": "mask PSNR ↑",
    "reblur_psnr": "re-blur PSNR ↑",
    "identity_psnr": "identity PSNR",
    "coc_mae_px": "CoC error, px ↓",
    "train_s": "training, s",
    "peak_mb": "peak memory, MiB",
    "gaussians": "Gaussians",
}

DECIMALS = {
    "ssim": 3,
    "lpips": 3,
    "deblur_ssim": 3,
    "deblur_lpips": 3,
    "train_s": 1,
    "peak_mb": 0,
    "gaussians": 0,
}
"""Where it is not two."""


@dataclass(frozen=True)
class Row:
    """One method over all captures and seeds. `cells()` gives the columns of the CSV."""

    method: str
    status: Status
    """The worst that befell one of its jobs."""
    kind: str
    """faithful, adapted, ours or control."""
    oracle: bool
    uses_optics: bool
    changed: str
    """Of an ablation: the settings that differ from its preset's; else empty."""
    captures: int
    """Captures with a finished job."""
    seeds: int
    """Seeds with a finished job."""
    done: int
    """Finished jobs..."""
    jobs: int
    """...of all."""
    scores: dict[str, Interval | None]
    """By column of `SCORES`: seeds averaged first, then views, then captures; the interval is over views."""
    seed_spread: dict[str, float | None]
    """By column of `SCORES`: standard deviation over seeds, where two or more saw the same views."""
    costs: dict[str, float | None]
    """By column of `COSTS`: mean over captures of the mean over seeds."""
    notes: dict[str, str]
    """By column: why the cell is empty, or what its mean leaves out."""
    ranks: dict[str, int]
    """By column of `RANKED`. Controls, oracles and methods that lack a view have none."""

    def cells(self) -> dict[str, object]:
        """The row by `COLUMNS`; None where a column does not apply."""
        means = {name: interval and round_significant(interval.mean) for name, interval in self.scores.items()}
        costs = {name: None if cost is None else round_significant(cost) for name, cost in self.costs.items()}
        if costs["gaussians"] is not None:
            costs["gaussians"] = round(costs["gaussians"])
        known: dict[str, object] = {
            "method": self.method,
            "status": self.status,
            "oracle": self.oracle,
            "captures": self.captures,
            "seeds": self.seeds,
        }
        cells = {**known, **means, **costs}
        return {column: cells[column] for column in COLUMNS}


def rows(records: Iterable[Record]) -> list[Row]:
    """One row per method, best novel-view PSNR first, then best deblurring PSNR, methods without either last.

    Only finished jobs give numbers; failed and skipped ones give their reason. Raises RecordError where
    records cannot stand in one table.
    """
    ordered = _ordered(records)
    check(ordered)
    jobs: dict[str, list[Record]] = {}
    for record in ordered:
        jobs.setdefault(record.method.name, []).append(record)
    views = {method: {column: _by_view(own, column) for column in SCORES} for method, own in jobs.items()}
    every = {column: {key for of in views.values() for key in of[column]} for column in SCORES}
    ranked = {column: _ranks(jobs, views, every[column], column) for column in RANKED}
    table = [_row(method, own, views[method], every, ranked) for method, own in jobs.items()]
    return sorted(table, key=lambda row: (*_best_first(row, "psnr"), *_best_first(row, "deblur_psnr"), row.method))


def check(records: Sequence[Record]) -> None:
    """Raise RecordError, in one sentence, if the records hold two answers to one question.

    That is: a job twice, two captures of one name, a metric in two versions, or one method made in two ways
    (as when its code was edited between two seeds): a mean over both would be of neither. Which of the two is
    meant, records cannot tell. Different methods may be made from different sources; the Markdown says so.
    """
    jobs: dict[tuple[str, str, int], str] = {}
    contents: dict[str, str] = {}
    versions: dict[str, tuple[str, str | None]] = {}
    makings: dict[tuple[str, str], tuple[str, Record]] = {}
    for record in records:
        capture, method = record.capture, record.method
        job = (capture.name, method.name, record.seed)
        if job in jobs:
            raise RecordError(
                f"two records of {_job(record)} ({jobs[job]} and {record.identity.id}): "
                "report them from two folders, or remove one"
            )
        jobs[job] = record.identity.id
        if contents.setdefault(capture.name, capture.content_hash) != capture.content_hash:
            raise RecordError(f"two captures are named '{capture.name}' and differ in content: rename one")
        for name, metric in record.metrics.items():
            version = (metric.version, metric.weights_sha256)
            if versions.setdefault(name, version) != version:
                raise RecordError(f"'{name}' was computed in two versions or with two networks: score again with one")
        for fact, made in _making(record).items():
            other, first = makings.setdefault((method.name, fact), (made, record))
            if made != other:
                raise RecordError(
                    f"the records of '{method.name}' cannot be averaged, as {_job(first)} was made with {other} and "
                    f"{_job(record)} with {made}: run the first command again, with the settings of the last, "
                    "for all their captures and seeds, or report them from two folders"
                )


def _making(record: Record) -> dict[str, str]:
    """How a job was made, in words, by what the jobs of one method must agree in; causes before effects."""
    parts = record.identity.parts
    facts = {
        "preset": record.method.preset,
        "version": record.method.version,
        "source hash": str(parts.get("source") or "")[:12],
        "file hash": str(parts.get("file") or "")[:12],
        "configuration": record.method.config_hash[:12],
        "device": record.environment.device,
    }
    if record.status == "ok":  # others have rendered nothing
        facts["rasterizer"] = record.environment.rasterizer or ""
    return {fact: f"{fact} {value}" if value else f"no {fact}" for fact, value in facts.items()}


def write(run_folder: Path, records: Iterable[Record]) -> tuple[Path, ...]:
    """Write `FILES` into a folder, each atomically. Gives their paths. Raises RecordError, OSError."""
    ordered = _ordered(records)
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
            for record in _ordered(records)
            for value in record.values
            if record.status == "ok"
        ),
    )


def formatted(column: str, value: object) -> str:
    """A cell as people read it: PSNR with two decimals, SSIM and LPIPS with three, seconds with one."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and column in (*SCORES, *COSTS):
        return f"{value:,.{DECIMALS.get(column, 2)}f}"
    return str(value)


def markdown(records: Iterable[Record]) -> str:
    """The leaderboard for people: a table per track, what it rests on, and what failed."""
    ordered = _ordered(records)
    table = rows(ordered)
    if not table:
        return "# Leaderboard\n\nNo jobs yet.\n"
    notes: dict[str, int] = {}
    parts = [
        "# Leaderboard",
        _captures(ordered),
        _scores("Novel views", _NOVEL, table, ("psnr", "ssim", "lpips", "mask_psnr"), notes),
        _scores(
            "Deblurring", _DEBLUR, table, ("deblur_psnr", "deblur_ssim", "deblur_lpips", "deblur_mask_psnr"), notes
        ),
        _scores("Kernel accuracy", _KERNEL, table, ("reblur_psnr", "identity_psnr", "coc_mae_px"), notes),
        _costs(ordered, table, notes),
        _wins(ordered),
        _failures(ordered),
        _contestants(ordered),
        _metrics(ordered),
        _environments(ordered),
        "\n".join(f"[^{number}]: {_escaped(note)}" for note, number in notes.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_NOVEL = (
    "Sharp renders at held-out poses against the sharp twin. ± is half the 95 % bootstrap interval over "
    "views. Methods of one rank are tied: the paired difference to the best of them covers zero. "
    "Controls (in italics) and methods that lack a view have no rank."
)
_DEBLUR = "Sharp outputs at the training poses against their sharp twins; marks as above."
_KERNEL = (
    "The sharp twin under the method's own blur against the photograph; identity: the sharp twin as it is; "
    "CoC error: of the radius, over the object."
)


def brief(records: Iterable[Record]) -> str:
    """One small Markdown table, novel views and deblurring side by side, for a README."""
    header = ["rank", "method", "PSNR ↑", "SSIM ↑", "LPIPS ↓", "deblurred PSNR ↑", "training, s"]
    columns = ("psnr", "ssim", "lpips", "deblur_psnr")
    lines = []
    for row in rows(records):
        means = [formatted(name, interval.mean if (interval := row.scores[name]) else None) for name in columns]
        rank = str(row.ranks.get("psnr", DASH))
        lines.append([rank, _named(row), *means, formatted("train_s", row.costs["train_s"])])
    return _grid(header, lines, left=2)


def _ordered(records: Iterable[Record]) -> list[Record]:
    return sorted(
        records, key=lambda record: (record.capture.name, record.method.name, record.seed, record.identity.id)
    )


def _job(record: Record) -> str:
    return f"{record.capture.name} / {record.method.name} / seed {record.seed}"


def _finished(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record.status == "ok"]


def _by_view(records: Iterable[Record], column: str) -> dict[Key, float]:
    """A method's score on each (capture, view), averaged over seeds."""
    track, metric = SCORES[column]
    seen: dict[Key, list[float]] = {}
    for record in _finished(records):
        for value in record.values:
            if (value.track, value.metric) == (track, metric):
                seen.setdefault((record.capture.name, value.view), []).append(value.value)
    return {key: plain_statistics.fmean(values) for key, values in seen.items()}


def _competes(method: Method) -> bool:
    return not method.oracle and method.status != "control"


def _ranks(
    jobs: Mapping[str, Sequence[Record]],
    views: Mapping[str, Mapping[str, dict[Key, float]]],
    every: set[Key],
    column: str,
) -> dict[str, int]:
    """Ranks of the methods that compete and have all views: a mean over other views is another quantity."""
    complete = {
        method: views[method][column]
        for method, own in jobs.items()
        if _competes(own[0].method) and every and views[method][column].keys() == every
    }
    return ranks(rank_groups(complete))


def _row(
    method: str,
    records: Sequence[Record],
    views: Mapping[str, dict[Key, float]],
    every: Mapping[str, set[Key]],
    ranked: Mapping[str, Mapping[str, int]],
) -> Row:
    finished = _finished(records)
    outcomes = {record.status for record in records}
    about = records[0].method
    scores = {column: mean_of(views[column]) if views[column] else None for column in SCORES}
    costs = {column: _cost(finished, column) for column in COSTS}
    notes = {column: _note(records, views[column], every[column], column) for column in SCORES}
    notes |= {column: _absence(records, (column,), _NO_COST[column]) for column in COSTS if costs[column] is None}
    return Row(
        method=method,
        status="failed" if "failed" in outcomes else "skipped" if "skipped" in outcomes else "ok",
        kind=about.status,
        oracle=about.oracle,
        uses_optics=about.uses_optics,
        changed=about.changed,
        captures=len({record.capture.name for record in finished}),
        seeds=len({record.seed for record in finished}),
        done=len(finished),
        jobs=len(records),
        scores=scores,
        seed_spread={column: _seed_spread(finished, column) for column in SCORES},
        costs=costs,
        notes={column: note for column, note in notes.items() if note},
        ranks={column: of[method] for column, of in ranked.items() if method in of},
    )


def _cost(finished: Sequence[Record], column: str) -> float | None:
    """Mean over captures of the mean over seeds; None where nothing, or not one thing, was measured."""
    if column == "peak_mb" and len({record.memory.of for record in finished if record.memory}) > 1:
        return None
    by_capture: dict[str, list[float]] = {}
    for record in finished:
        cost = COSTS[column](record)
        if cost is not None:
            by_capture.setdefault(record.capture.name, []).append(cost)
    return plain_statistics.fmean(map(plain_statistics.fmean, by_capture.values())) if by_capture else None


_NO_COST = {
    "train_s": "it trains nothing, or the time was not measured",
    "peak_mb": "not measured, or not in one way",
    "gaussians": "it has no Gaussians",
}


def _seed_spread(finished: Sequence[Record], column: str) -> float | None:
    by_seed: dict[int, list[Record]] = {}
    for record in finished:
        by_seed.setdefault(record.seed, []).append(record)
    views = [_by_view(own, column) for own in by_seed.values()]
    if len(views) < 2 or not views[0] or any(own.keys() != views[0].keys() for own in views):
        return None
    return plain_statistics.stdev(stratified_mean(own) for own in views)


def _note(records: Sequence[Record], views: Mapping[Key, float], every: set[Key], column: str) -> str:
    if views:
        missing = len(every) - len(views)
        return f"over {len(views)} of {len(every)} views" if missing else ""
    track, metric = SCORES[column]
    return _absence(records, (f"{track}.{metric}", metric, track), "it has no such output")


def _absence(records: Sequence[Record], keys: Sequence[str], otherwise: str) -> str:
    """Why a method has no number: what broke, else what its records say of the metric or the track."""
    finished = _finished(records)
    if not finished:
        return "; ".join(sorted({f"{record.status}: {record.error.reason}" for record in records if record.error}))
    reasons = (record.unavailable[key] for key in keys for record in finished if key in record.unavailable)
    return next(reasons, otherwise)


def _best_first(row: Row, column: str) -> tuple[bool, float]:
    interval = row.scores[column]
    return (interval is None, -interval.mean if interval else 0.0)


def _csv(header: Sequence[str], lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow(str(cell).lower() if isinstance(cell, bool) else cell for cell in line)
    return text.getvalue()


def _escaped(text: object) -> str:
    """`text` on one line, without what Markdown would take for a table cell or a tag."""
    return " ".join(str(text).split()).replace("|", r"\|").replace("<", "&lt;")


def _grid(header: Sequence[str], lines: Iterable[Sequence[str]], left: int) -> str:
    """A Markdown table whose first `left` columns are text and whose others are numbers."""
    rule = [":--" if column < left else "--:" for column in range(len(header))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *lines))


def _footnote(note: str, notes: dict[str, int]) -> str:
    return f" [^{notes.setdefault(note, len(notes) + 1)}]" if note else ""


def _label(method: str, changed: str) -> str:
    """A method's name in a table; that of an ablation says what was changed."""
    return _escaped(f"{method} ({changed})" if changed else method)


def _named(row: Row) -> str:
    name = _label(row.method, row.changed)
    return f"*{name}*" if row.oracle or row.kind == "control" else name


def _kind(row: Row) -> str:
    marks = (
        row.kind,
        "ablation" if row.changed else "",
        "oracle" if row.oracle else "",
        "lens data" if row.uses_optics else "",
    )
    return ", ".join(mark for mark in marks if mark)


def _outcome(row: Row) -> str:
    return row.status if row.done == row.jobs else f"{row.status} ({row.done} of {row.jobs} jobs done)"


def _score(row: Row, column: str, notes: dict[str, int]) -> str:
    interval = row.scores[column]
    text = formatted(column, interval.mean if interval else None)
    if interval and interval.low is not None and interval.high is not None:
        text += f" ± {formatted(column, (interval.high - interval.low) / 2)}"
    return text + _footnote(row.notes.get(column, ""), notes)


def _seeds(row: Row, column: str) -> str:
    spread = row.seed_spread[column]
    return str(row.seeds) if spread is None else f"{row.seeds} (s.d. {formatted(column, spread)})"


def _scores(title: str, caption: str, table: Sequence[Row], columns: Sequence[str], notes: dict[str, int]) -> str:
    """The section of one track; empty where no method has a number in it."""
    if not any(row.scores[column] for row in table for column in columns):
        return ""
    lead = columns[0]
    header = ["rank", "method", "kind", "status", "captures", "seeds", *(HEADINGS[name] for name in columns)]
    lines = [
        [
            str(row.ranks.get(lead, DASH)),
            _named(row),
            _kind(row),
            _outcome(row),
            str(row.captures),
            _seeds(row, lead),
            *(_score(row, column, notes) for column in columns),
        ]
        for row in sorted(table, key=lambda row: (*_best_first(row, lead), row.method))
    ]
    return f"## {title}\n\n{caption}\n\n{_grid(header, lines, left=4)}"


def _costs(records: Sequence[Record], table: Sequence[Row], notes: dict[str, int]) -> str:
    measured: dict[str, set[str]] = {}
    for record in _finished(records):
        if record.memory:
            measured.setdefault(record.method.name, set()).add(record.memory.of)
    lines = [
        [
            _named(row),
            *(formatted(name, row.costs[name]) + _footnote(row.notes.get(name, ""), notes) for name in COSTS),
            ", ".join(sorted(measured.get(row.method, {DASH}))),
        ]
        for row in table
    ]
    header = ["method", *(HEADINGS[name] for name in COSTS), "memory of"]
    return f"## Cost\n\nMean per job.\n\n{_grid(header, lines, left=1)}"


def _captures(records: Sequence[Record]) -> str:
    captures = {record.capture.name: record.capture for record in records}
    header = [
        "capture",
        "content",
        "train views",
        "test views",
        "photograph PSNR",
        "noise floor",
        "CoC radius, px",
    ]
    lines = [_capture(capture) for capture in captures.values()]
    caption = (
        "Photograph PSNR: the photographs against their sharp twins. Noise floor: PSNR on the object that "
        "their noise alone allows. CoC radius: quantiles of its size over the object."
    )
    return f"## Captures\n\n{caption}\n\n{_grid(header, lines, left=2)}"


def _capture(capture: Capture) -> list[str]:
    hard = capture.difficulty
    radii = sorted(hard.coc_radius_px.items(), key=lambda item: (item[1], item[0])) if hard else []
    return [
        _escaped(capture.name),
        f"`{capture.content_hash[:12]}`",
        str(capture.views_train),
        str(capture.views_test),
        formatted("psnr", hard.psnr_photograph_sharp if hard else None),
        formatted("psnr", hard.noise_floor_on_object if hard else None),
        ", ".join(f"{_escaped(name)} {radius:.2f}" for name, radius in radii) or DASH,
    ]


def _wins(records: Sequence[Record]) -> str:
    """Novel-view PSNR by capture: an average can hide that a method wins one capture and loses the rest."""
    captures = sorted({record.capture.name for record in records})
    scores: dict[str, dict[str, float]] = {}
    best: dict[str, tuple[str, ...]] = {}
    competing = {record.method.name for record in records if _competes(record.method)}
    labels = {record.method.name: _label(record.method.name, record.method.changed) for record in records}
    for capture in captures:
        own: dict[str, list[Record]] = {}
        for record in records:
            if record.capture.name == capture:
                own.setdefault(record.method.name, []).append(record)
        views = {method: _by_view(jobs, "psnr") for method, jobs in own.items()}
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
    header = ["method", "wins", *(_escaped(capture) for capture in captures)]
    return f"## By capture\n\n{caption}\n\n{_grid(header, lines, left=1)}"


def _failures(records: Sequence[Record]) -> str:
    lines = []
    for record in records:
        if record.error:
            step = "" if record.error.step is None else f", step {record.error.step}"
            reason = f"{record.status}: {record.error.reason} ({record.error.kind}{step})"
            lines.append(f"- {_escaped(_job(record))}: {_escaped(reason)}")
    return "## Failed and skipped\n\n" + "\n".join(lines) if lines else ""


def _contestants(records: Sequence[Record]) -> str:
    about = {
        (
            _label(record.method.name, record.method.changed),
            _escaped(record.method.title),
            _escaped(record.method.version),
            _escaped(record.method.preset),
            f"`{record.method.config_hash[:12]}`",
            _escaped(record.method.trained_on),
            _escaped(record.method.citation) or DASH,
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
    return f"## Contestants\n\n{_grid(header, sorted(about), left=len(header))}" if about else ""


def _published(method: Method) -> str:
    """The source's own numbers. They stand beside ours only to be recognised: the data are others."""
    if not method.published:
        return DASH
    numbers = [f"{name} {value}" for name, value in sorted(method.published.items()) if name != "data"]
    return _escaped(f"{', '.join(numbers)} ({method.published.get('data', 'data not named')})")


def _metrics(records: Sequence[Record]) -> str:
    lines = set()
    for record in records:
        for name, metric in record.metrics.items():
            weights = f", weights `{metric.weights_sha256[:12]}`" if metric.weights_sha256 else ""
            lines.add(f"- {_escaped(name)}: version {_escaped(metric.version)}{weights}")
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
        lines.add("- " + _escaped(", ".join(fact for fact in facts if fact)))
    rasterizers = sorted({record.environment.rasterizer for record in records if record.environment.rasterizer})
    if rasterizers:
        lines.add(f"- rasterizer: {_escaped(', '.join(rasterizers))}")
    if not lines:
        return ""
    return "\n\n".join(part for part in ("## Environment", "\n".join(sorted(lines)), _sources(records)) if part)


def _sources(records: Sequence[Record]) -> str:
    """A sentence where methods were made from different sources: part of their difference may come of that."""
    methods: dict[str, set[str]] = {}
    for record in records:
        source = str(record.identity.parts.get("source") or "")[:12]
        methods.setdefault(f"`{source}`" if source else "unknown", set()).add(_escaped(record.method.name))
    if len(methods) < 2:
        return ""
    made = "; ".join(f"{source}: {', '.join(sorted(names))}" for source, names in sorted(methods.items()))
    return f"The methods were made with {len(methods)} versions of the source ({made})."
