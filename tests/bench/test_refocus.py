"""bench refocus: photographs after the fact from a run."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from bench.refocus import model_in, refocus
from datasets.cameras import Camera, look_at
from datasets.capture import Background
from datasets.errors import InputError
from datasets.images import read_rgb
from methods.joint_optics.lensed import LensedScene
from methods.splatting.config import SplattingConfig
from methods.splatting.gaussians import Gaussians

DISTANCE = 50.0


def write_run(run: Path, method: str = "joint-optics") -> Path:
    """A run that holds two crossing walls of Gaussians and the lens that saw them, but no record."""
    torch.manual_seed(0)
    n = 900
    means = 4 * torch.rand(n, 3) - 2
    means[::2, 2] = 0.6 * means[::2, 0]
    means[1::2, 0] = 0.0
    gaussians = Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        log_scales=torch.full((n, 3), -1.8),
        logit_opacities=torch.full((n,), 2.0),
        sh=torch.randn(n, 1, 3),
    )
    cameras = {
        name: Camera(33, 30, 400.0, 400.0, 16.5, 15.0, look_at(np.array([x, 0.0, DISTANCE]), np.zeros(3)))
        for name, x in (("a", 0.0), ("b", 10.0))
    }
    folder = run / "jobs" / "walls" / method / "seed0" / "model"
    folder.mkdir(parents=True)
    config = SplattingConfig(1, 1, 1, light="linear")
    LensedScene(gaussians, cameras, Background(), config, "cpu", {"a": 49.0, "b": 50.0}, 8.0).save(folder)
    return folder


PUBLISHED = Path(__file__).resolve().parents[2] / "reports" / "published"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


def test_it_writes_a_picture_that_is_sharp_everywhere_and_one_that_is_focused(run: Path, tmp_path: Path) -> None:
    sharp, focused = refocus(run, tmp_path / "out", "b", 50.0, None, None, 0)
    assert [path.name for path in (sharp, focused)] == ["b-all-in-focus.png", "b-50mm.png"]
    assert read_rgb(sharp).shape == read_rgb(focused).shape == (30, 33, 3)
    assert np.abs(read_rgb(sharp).astype(int) - read_rgb(focused)).max() > 20


def test_a_larger_f_number_blurs_less(run: Path, tmp_path: Path) -> None:
    sharp, wide = (read_rgb(path).astype(int) for path in refocus(run, tmp_path / "o", None, 49.0, 2.0, 20.0, 0))
    _, narrow = (read_rgb(path).astype(int) for path in refocus(run, tmp_path / "o", None, 49.0, 16.0, 20.0, 0))
    assert np.abs(narrow - sharp).mean() < 0.3 * np.abs(wide - sharp).mean()


def test_the_focal_length_comes_from_the_record_where_there_is_one(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--focal-length"):
        refocus(run, tmp_path / "o", None, 49.0, 4.0, None, 0)
    (job,) = run.glob("jobs/*/*/*")
    record = job / "record.json"
    record.write_text("{}")
    with pytest.raises(InputError, match=r"record.json.*--focal-length"):
        refocus(run, tmp_path / "o", None, 49.0, 4.0, None, 0)
    plain = json.loads((PUBLISHED / "demo" / "demo-joint-optics-0.json").read_text())
    plain["capture"]["optics"] = {"f_mm": 20.0, "f_number": 2.5}
    record.write_text(json.dumps(plain))
    from_record = refocus(run, tmp_path / "o", None, 49.0, 4.0, None, 0)[1].read_bytes()
    assert refocus(run, tmp_path / "p", None, 49.0, 4.0, 20.0, 0)[1].read_bytes() == from_record


def test_a_pull_of_the_focus_is_frames_and_a_video(run: Path, tmp_path: Path) -> None:
    written = refocus(run, tmp_path / "out", None, None, None, None, 3)
    assert [path.suffix for path in written] == [".png"] * 4 + [".mp4"]
    video = cv2.VideoCapture(str(written[-1]))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    assert len(frames) == 4  # there and back
    assert frames[0].shape == (30, 34, 3)
    first = cv2.cvtColor(frames[0], cv2.COLOR_BGR2RGB)[:, :33].astype(int)
    assert np.abs(first - read_rgb(written[1])).mean() < 12


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"view": "c"}, "no training view c"),
        ({"focus": 90.0}, "outside the scene, which view a sees from"),
        ({"focus": 49.0, "f_number": 0.0}, "greater than 0"),
    ],
)
def test_what_cannot_be_photographed_is_refused(
    run: Path, tmp_path: Path, options: dict[str, object], says: str
) -> None:
    arguments = {"view": None, "focus": None, "f_number": None, "focal_length": None, "pull": 0, **options}
    with pytest.raises(InputError, match=says):
        refocus(run, tmp_path / "out", **arguments)  # type: ignore[arg-type]


def test_of_several_scenes_the_first_of_the_method_that_was_told_nothing_is_taken(run: Path) -> None:
    own = run / "jobs" / "walls" / "joint-optics" / "seed0" / "model"
    write_run(run, "joint-optics-known")
    for seed in (2, 10):
        shutil.copytree(own.parent, own.parent.with_name(f"seed{seed}"))
    assert model_in(run) == own
    shutil.rmtree(own.parent)
    assert model_in(run) == own.parent.with_name("seed2") / "model"


def test_a_run_of_scenes_that_are_alike_asks_for_one(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "jobs" / "walls", run / "jobs" / "more-walls")
    with pytest.raises(InputError, match=r"2 scenes.*more-walls"):
        model_in(run)
    folder = run / "jobs" / "more-walls" / "joint-optics"
    assert refocus(folder, tmp_path / "out", None, None, None, None, 0)
    shutil.rmtree(run)
    for seed in (0, 1):
        write_run(run, f"joint-optics-known-{seed}")
    with pytest.raises(InputError, match="2 scenes"):
        model_in(run)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_a_scene_is_named(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        refocus(tmp_path / "empty", None, None, None, None, None, 0)
