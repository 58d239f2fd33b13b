"""`bench synth pairs` orders what its options say."""

import json
from pathlib import Path

import pytest

from bench import training_pairs
from datasets.synthesis.pairs.making import PairsResult
from datasets.synthesis.pairs.order import Order


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ({}, Order()),
        ({"seed": 3, "size": 64}, Order(seed=3, size=64)),
        ({"samples": 96}, Order(samples={"sharp": 96, "defocused": 192})),
    ],
)
def test_what_is_not_said_is_as_usual(options, order, monkeypatch, capsys, tmp_path):
    ordered = []

    def make(count: int, folder: Path, order: Order, jobs: int, progress: object) -> PairsResult:
        ordered.append((count, order))
        return PairsResult(folder, count, "created")

    monkeypatch.setattr(training_pairs, "make_pairs", make)
    assert training_pairs.render_pairs(8, tmp_path / "pairs", True, **options) == 0
    assert ordered == [(8, order)]
    assert json.loads(capsys.readouterr().out)["pairs"] == 8
