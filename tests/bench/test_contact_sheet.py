"""Captures at a glance."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commandline import Bench
from PIL import Image

from bench.comparison import GAP, LABEL
from bench.contact_sheet import write_contact_sheet, write_pairs_sheet
from datasets.capture import Capture
from datasets.captures import open_capture
from datasets.errors import InputError
from datasets.pairs import KIND, MANIFEST, Shard, open_pairs, write_shard
from datasets.store import write_json

SIDE = 256


def cell(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = GAP + row * (SIDE + LABEL + GAP) + LABEL, GAP + column * (SIDE + GAP)
    return picture[top : top + SIDE, left : left + SIDE]


@pytest.fixture(scope="module")
def demo() -> Capture:
    return open_capture("demo")


def test_a_row_shows_the_view_sharp_photographed_and_its_maps(demo: Capture, tmp_path: Path) -> None:
    write_contact_sheet(tmp_path / "sheet.png", [demo, demo], "008")
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    view = next(view for view in (*demo.train, *demo.test) if view.name == "008")
    truth = view.truth()
    for row in range(2):
        assert np.array_equal(cell(picture, row, 0)[::2, ::2], truth.sharp)
        assert np.array_equal(cell(picture, row, 1)[::2, ::2], view.photograph().image)
    assert truth.depth is not None
    assert truth.coc is not None
    depth, coc = (cell(picture, 0, column)[::2, ::2].astype(int) for column in (2, 3))
    known = truth.depth > 0
    brightness = depth.sum(axis=-1)[known]
    assert np.corrcoef(brightness, truth.depth[known])[0, 1] > 0.9
    behind, before = known & (truth.coc > 1), known & (truth.coc < -1)
    assert (coc[behind][:, 0] > coc[behind][:, 2]).all()
    assert (coc[before][:, 0] < coc[before][:, 2]).all()


def test_captures_of_any_shape_stand_in_one_sheet(demo: Capture, tiny: Path, tmp_path: Path) -> None:
    write_contact_sheet(tmp_path / "sheet.png", [demo, open_capture(str(tiny))], None)
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert picture.shape == (2 * (SIDE + LABEL + GAP) + GAP, 4 * (SIDE + GAP) + GAP, 3)


def test_what_cannot_be_shown_is_said(demo: Capture, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no view 99; it has 000"):
        write_contact_sheet(tmp_path / "no.png", [demo], "99")
    blind = replace(demo, train=tuple(replace(view, read_truth=None) for view in demo.train))
    with pytest.raises(InputError, match="no sharp twins"):
        write_contact_sheet(tmp_path / "no.png", [blind], None)
    assert not (tmp_path / "no.png").exists()


def test_training_pairs_stand_in_a_sheet_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photograph, sharp = rng.integers(0, 256, (2, 3, 128, 128, 3), dtype=np.uint8)
    mask = np.full((3, 128, 128), 255, np.uint8)
    coc = np.zeros((3, 128, 128), np.float16)
    coc[:, 20:40], coc[:, 80:90] = 4.0, -4.0
    facts = tuple({"object_seed": 7, "take": take, "f_number": 2.8} for take in range(3))
    write_shard(tmp_path / "shard-00000.npz", Shard(photograph, sharp, mask, coc, facts))
    entry = {"pairs": 3, "sha256": "not asked for"}
    write_json(tmp_path / MANIFEST, {"kind": KIND, "size": 128, "shards": {"shard-00000.npz": entry}})
    write_pairs_sheet(tmp_path / "sheet.png", open_pairs(tmp_path))
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    for index, (row, column) in enumerate([(0, 0), (0, 3), (1, 0)]):
        assert np.array_equal(cell(picture, row, column)[::2, ::2], sharp[index])
        assert np.array_equal(cell(picture, row, column + 1)[::2, ::2], photograph[index])
        behind, before = (cell(picture, row, column + 2)[line, 10] for line in (60, 170))
        assert behind[0] > behind[2]
        assert before[0] < before[2]


def test_the_command_tells_pairs_from_captures(bench: Bench, tmp_path: Path) -> None:
    write_json(tmp_path / MANIFEST, {"kind": KIND, "size": 128, "shards": {}})
    assert "no finished pairs" in bench("sheet", tmp_path).stderr
    assert "--view is an option of `bench sheet CAPTURE`" in bench("sheet", tmp_path, "--view", "008").stderr
