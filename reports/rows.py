"""One row per method: means, intervals, ranks, and the reason for whatever is missing."""

from __future__ import annotations

import statistics as plain_statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.columns import COLUMNS, COSTS, RANKED, SCORES
from reports.records import Method, Record, RecordError, Status, round_significant, rounded
from reports.statistics import Interval, Key, mean_of, rank_groups, ranks, stratified_mean


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
    spread: str
    """How its model of the blur moves light: gather or scatter; empty without one."""
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

    @property
    def competes(self) -> bool:
        """Whether it may have a rank."""
        return not self.oracle and self.kind != "control"

    def cells(self) -> dict[str, object]:
        """The row by `COLUMNS`; None where a column does not apply."""
        means = {name: interval and round_significant(interval.mean) for name, interval in self.scores.items()}
        costs = {name: rounded(cost) for name, cost in self.costs.items()}
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
    """One row per method, best novel-view PSNR first (without truth: where in focus), then best deblurring PSNR.

    Methods without any of them come last.

    Only finished jobs give numbers; failed and skipped ones give their reason. Raises RecordError where
    records cannot stand in one table.
    """
    ordered = in_order(records)
    check(ordered)
    jobs: dict[str, list[Record]] = {}
    for record in ordered:
        jobs.setdefault(record.method.name, []).append(record)
    views = {method: {column: by_view(own, column) for column in SCORES} for method, own in jobs.items()}
    every = {column: {key for of in views.values() for key in of[column]} for column in SCORES}
    ranked = {column: _ranks(jobs, views, every[column], column) for column in RANKED}
    table = [_row(method, own, views[method], every, ranked) for method, own in jobs.items()]
    leads = ("psnr", "in_focus_psnr", "deblur_psnr")
    return sorted(table, key=lambda row: (*(part for lead in leads for part in best_first(row, lead)), row.method))


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
                f"two records of {job_name(record)} ({jobs[job]} and {record.identity.id}): "
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
                    f"the records of '{method.name}' cannot be averaged, as {job_name(first)} was made with {other} "
                    f"and {job_name(record)} with {made}: run the first command again, with the settings of the last, "
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


def in_order(records: Iterable[Record]) -> list[Record]:
    """Records in the order of capture, method and seed."""
    return sorted(
        records, key=lambda record: (record.capture.name, record.method.name, record.seed, record.identity.id)
    )


def job_name(record: Record) -> str:
    """A job as a sentence names it."""
    return f"{record.capture.name} / {record.method.name} / seed {record.seed}"


def finished_jobs(records: Iterable[Record]) -> list[Record]:
    """Those that have numbers."""
    return [record for record in records if record.status == "ok"]


def by_view(records: Iterable[Record], column: str) -> dict[Key, float]:
    """A method's score on each (capture, view), averaged over seeds."""
    track, metric = SCORES[column]
    seen: dict[Key, list[float]] = {}
    for record in finished_jobs(records):
        for value in record.values:
            if (value.track, value.metric) == (track, metric):
                seen.setdefault((record.capture.name, value.view), []).append(value.value)
    return {key: plain_statistics.fmean(values) for key, values in seen.items()}


def competes(method: Method) -> bool:
    """Whether a method may have a rank."""
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
        if competes(own[0].method) and every and views[method][column].keys() == every
    }
    return ranks(rank_groups(complete))


def _row(
    method: str,
    records: Sequence[Record],
    views: Mapping[str, dict[Key, float]],
    every: Mapping[str, set[Key]],
    ranked: Mapping[str, Mapping[str, int]],
) -> Row:
    finished = finished_jobs(records)
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
        spread=", ".join(sorted({record.blur.spread for record in finished if record.blur})),
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
    views = [by_view(own, column) for own in by_seed.values()]
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
    finished = finished_jobs(records)
    if not finished:
        return "; ".join(sorted({f"{record.status}: {record.error.reason}" for record in records if record.error}))
    reasons = (record.unavailable[key] for key in keys for record in finished if key in record.unavailable)
    return next(reasons, otherwise)


def best_first(row: Row, column: str) -> tuple[bool, float]:
    """Sorts rows by a column, best mean first, those without one last."""
    interval = row.scores[column]
    return (interval is None, -interval.mean if interval else 0.0)
