"""Intervals cover what they should, and ranks are shared where the views cannot tell methods apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import statistics
from reports.records import Value

numbers = st.floats(-100, 100)


def views(values, capture="demo"):
    return {(capture, f"{view:04d}"): float(value) for view, value in enumerate(values)}


@given(st.lists(numbers, min_size=2, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_interval_holds_the_mean_and_does_not_depend_on_the_order(values, random):
    interval = statistics.bootstrap(values)
    assert interval.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert interval.low <= interval.mean + 1e-9
    assert interval.high >= interval.mean - 1e-9
    random.shuffle(values)
    assert statistics.bootstrap(values) == interval


@given(st.lists(numbers, min_size=2, max_size=8), st.floats(0.1, 10), numbers)
@settings(max_examples=40, deadline=None)
def test_the_interval_moves_and_scales_with_the_values(values, scale, shift):
    interval = statistics.bootstrap(values)
    moved = statistics.bootstrap([scale * value + shift for value in values])
    assert moved.low == pytest.approx(scale * interval.low + shift, abs=1e-6)
    assert moved.high == pytest.approx(scale * interval.high + shift, abs=1e-6)


@pytest.mark.parametrize(("count", "least"), [(4, 0.88), (8, 0.92), (28, 0.93)])
def test_intervals_cover_the_true_mean_even_of_few_views(count, least):
    generator = np.random.default_rng(3)
    samples = generator.normal(30, 2, size=(400, count))
    covered = [interval.low <= 30 <= interval.high for interval in map(statistics.bootstrap, samples)]
    assert least <= np.mean(covered) <= 0.985


def test_many_views_give_the_textbook_interval():
    values = np.random.default_rng(0).normal(30, 2, 400)
    interval = statistics.bootstrap(values)
    half = 1.966 * values.std(ddof=1) / 20
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.03)


def test_one_view_has_a_mean_and_no_interval():
    interval = statistics.bootstrap([30.0])
    assert interval == statistics.Interval(30.0, None, None, 1)
    assert interval.covers_zero  # nothing is known of the spread


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_no_value_or_one_that_is_not_finite_is_refused(values):
    with pytest.raises(ValueError, match="at least one value"):
        statistics.bootstrap(values)


def test_captures_count_the_same_whatever_their_number_of_views():
    scores = views([20.0, 20.0], "a") | views([30.0] * 8, "b")
    assert statistics.mean_of(scores).mean == statistics.stratified_mean(scores) == 25.0


def test_a_gap_between_captures_is_no_uncertainty_of_the_mean():
    scores = views([20.0, 20.1, 19.9], "a") | views([30.0, 30.1, 29.9], "b")
    interval = statistics.mean_of(scores)
    assert interval.high - interval.low < 0.5


def test_pairing_sees_a_small_constant_gain_that_the_spread_of_views_hides():
    base = np.array([20.0, 25.0, 30.0, 35.0])
    gain = statistics.paired_difference(views(base + np.array([0.1, 0.11, 0.1, 0.09])), views(base))
    assert not gain.covers_zero
    assert gain.mean == pytest.approx(0.1)


def test_only_common_views_are_compared():
    first, second = views([20.0, 30.0, 90.0]), views([19.0, 29.0])
    assert statistics.paired_difference(first, second).mean == pytest.approx(1.0)
    assert statistics.paired_difference(first, views([1.0], "other")) is None


def test_a_method_ties_with_itself():
    scores = views([20.0, 25.0, 30.0])
    assert statistics.tied(scores, scores)


def test_ranks_are_shared_by_groups():
    base = np.array([20.0, 24.0, 28.0, 32.0])
    scores = {
        "good": views(base + 2),
        "equal": views(base + 2 + [0.3, -0.3, 0.2, -0.25]),
        "worse": views(base),
    }
    groups = statistics.rank_groups(scores)
    assert groups == [("good", "equal"), ("worse",)]
    assert statistics.ranks(groups) == {"good": 1, "equal": 1, "worse": 3}


def test_lower_can_be_better():
    scores = {"high": views([0.3, 0.31]), "low": views([0.1, 0.11])}
    assert statistics.rank_groups(scores, "lower") == [("low",), ("high",)]


@given(st.permutations(["a", "b", "c", "d"]))
@settings(max_examples=10, deadline=None)
def test_groups_do_not_depend_on_the_order_of_the_methods(order):
    generator = np.random.default_rng(5)
    scores = {name: views(generator.normal(30, 1, 5)) for name in "abcd"}
    assert statistics.rank_groups({name: scores[name] for name in order}) == statistics.rank_groups(scores)


def test_aggregates_of_one_record_are_by_track_and_metric():
    values = [
        Value(track=track, view=str(view), metric="psnr", value=base + view)
        for track, base in (("novel", 30), ("deblur", 20))
        for view in range(3)
    ]
    deblur, novel = statistics.aggregates(values)
    assert (deblur.track, deblur.mean, deblur.n) == ("deblur", 21.0, 3)
    assert (novel.track, novel.mean, novel.n) == ("novel", 31.0, 3)
    assert novel.low < 31 < novel.high


def test_one_view_gives_an_aggregate_without_ends():
    (aggregate,) = statistics.aggregates([Value(track="novel", view="0", metric="psnr", value=3.0)])
    assert (aggregate.low, aggregate.high) == (None, None)
