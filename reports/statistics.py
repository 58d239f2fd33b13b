"""How sure a mean is, and when two methods are tied: seeded bootstrap over views.

The views are the sample: a capture is photographed from a few of the many poses it could have been. Several
captures are strata: each counts the same in a mean, whatever its number of views, and views are drawn
within it.

A plain percentile interval is too narrow for the four or five held-out views of a small capture. Two
corrections (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 4.1) repair that:
each stratum's deviations are widened by sqrt(n / (n - 1)), and the tails are cut where a t interval of the
same degrees of freedom cuts them. Both vanish as n grows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import ndtr, stdtrit

from reports.records import Aggregate, Value

RESAMPLES = 10_000
CONFIDENCE = 0.95

Key = tuple[str, str]
"""(capture, view): what two methods share, and so what their numbers are paired by."""


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval; None where a single view leaves the spread unknown."""

    mean: float
    low: float | None
    high: float | None
    n: int  # views

    @property
    def covers_zero(self) -> bool:
        """Whether the sign of the mean is in doubt; with an unknown spread it is."""
        return self.low is None or self.high is None or self.low <= 0 <= self.high


def bootstrap(values: Iterable[float], strata: Sequence[Hashable] | None = None, *, seed: int = 0) -> Interval:
    """The mean over strata of the mean within each, and its interval.

    `values` [N] are one number per view, `strata` [N] the capture of each (None: all the same). The result
    does not depend on their order. No interval where a stratum holds one view. Raises ValueError without
    values, or where one is not finite.
    """
    # Tables of one contest ask for the same intervals again and again.
    return _bootstrap(tuple(values), None if strata is None else tuple(strata), seed)


@lru_cache(maxsize=8192)
def _bootstrap(values: tuple[float, ...], strata: tuple[Hashable, ...] | None, seed: int) -> Interval:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.size == 0 or not np.isfinite(numbers).all():
        raise ValueError("a mean needs at least one value, and finite ones")
    groups = _grouped(numbers, strata)
    mean = _mean(groups)
    if min(group.size for group in groups) < 2:
        return Interval(mean, None, None, numbers.size)
    generator = np.random.default_rng(seed)
    deviations = np.mean([_deviations(group, generator) for group in groups], axis=0)  # [RESAMPLES]
    freedom = numbers.size - len(groups)
    tail = float(ndtr(stdtrit(freedom, (1 - CONFIDENCE) / 2)))
    low, high = mean + np.quantile(deviations, [tail, 1 - tail])
    return Interval(mean, float(low), float(high), numbers.size)


def _grouped(numbers: np.ndarray, strata: Sequence[Hashable] | None) -> list[np.ndarray]:
    """The numbers of each stratum, sorted, so that the draws do not depend on the order they came in."""
    if strata is None:
        return [np.sort(numbers)]
    if len(strata) != numbers.size:
        raise ValueError(f"{numbers.size} values in {len(strata)} strata")
    members: dict[Hashable, list[float]] = {}
    for number, stratum in zip(numbers.tolist(), strata, strict=True):
        members.setdefault(stratum, []).append(number)
    return sorted((np.sort(group) for group in members.values()), key=lambda group: group.tolist())


def _mean(groups: Sequence[np.ndarray]) -> float:
    return float(np.mean([group.mean() for group in groups]))


def _deviations(group: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """How far the mean of each resample lies from the mean, widened for the small sample. [RESAMPLES]"""
    drawn = group[generator.integers(group.size, size=(RESAMPLES, group.size))]
    return np.sqrt(group.size / (group.size - 1)) * (drawn.mean(axis=1) - group.mean())


def mean_of(scores: Mapping[Key, float]) -> Interval:
    """`bootstrap` of one method's scores by (capture, view), the captures as strata."""
    return bootstrap(scores.values(), [capture for capture, _ in scores])


def stratified_mean(scores: Mapping[Key, float]) -> float:
    """The mean that `mean_of` gives, without its interval."""
    groups = _grouped(np.asarray(list(scores.values())), [capture for capture, _ in scores])
    return _mean(groups)


def paired_difference(first: Mapping[Key, float], second: Mapping[Key, float]) -> Interval | None:
    """The mean of `first` minus `second` on the views that both have; None where they share none.

    Paired, because views differ far more from each other than methods do on one view.
    """
    common = sorted(first.keys() & second.keys())
    return mean_of({key: first[key] - second[key] for key in common}) if common else None


def tied(first: Mapping[Key, float], second: Mapping[Key, float]) -> bool:
    """Whether the views give no reason to prefer one to the other."""
    difference = paired_difference(first, second)
    return difference is None or difference.covers_zero


def rank_groups(
    scores: Mapping[str, Mapping[Key, float]], better: Literal["higher", "lower"] = "higher"
) -> list[tuple[str, ...]]:
    """Methods in groups, best first; within a group the best of it is not told apart from any other.

    Walking down the list sorted by mean, a method joins the group if its paired difference to the group's
    best covers zero, and opens the next one otherwise.
    """
    sign = -1.0 if better == "higher" else 1.0
    means = {method: stratified_mean(values) for method, values in scores.items()}
    groups: list[tuple[str, ...]] = []
    for method in sorted(means, key=lambda name: (sign * means[name], name)):
        if groups and tied(scores[groups[-1][0]], scores[method]):
            groups[-1] = (*groups[-1], method)
        else:
            groups.append((method,))
    return groups


def ranks(groups: Sequence[Sequence[str]]) -> dict[str, int]:
    """Standard competition ranks of groups, best first: two methods tied at 1 are followed by a 3."""
    rank, of = 1, {}
    for group in groups:
        of.update(dict.fromkeys(group, rank))
        rank += len(group)
    return of


def aggregates(values: Iterable[Value]) -> tuple[Aggregate, ...]:
    """The mean of each (track, metric) of one record over its views."""
    columns: dict[tuple[str, str], list[Value]] = {}
    for value in values:
        columns.setdefault((value.track, value.metric), []).append(value)
    return tuple(_aggregate(column) for _, column in sorted(columns.items()))


def _aggregate(column: Sequence[Value]) -> Aggregate:
    interval = bootstrap([value.value for value in column])
    return Aggregate(
        track=column[0].track,
        metric=column[0].metric,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        n=interval.n,
    )
