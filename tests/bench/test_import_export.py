"""`bench export` and `bench import` at the command line: three commands from a capture to a run on its copy."""

from pathlib import Path

import numpy as np
import pytest
from captures import write_tiny_capture
from commandline import Bench, is_one_sentence, records_in

from bench.photographs import default_folder
from datasets.captures import open_capture
from datasets.images import write_png


@pytest.fixture
def scene(bench: Bench, tmp_path: Path) -> Path:
    """The tiny capture as COLMAP's folders."""
    done = bench("export", write_tiny_capture(tmp_path / "tiny"), "--format", "colmap", "--out", "scene")
    assert done.returncode == 0, done.stderr
    return tmp_path / "scene"


def test_what_was_imported_runs(bench: Bench, scene: Path, tmp_path: Path) -> None:
    done = bench("import", "scene/images", "--poses", "colmap")
    assert done.returncode == 0, done.stderr
    assert "captures/scene is done: 9 photographs, 2 of them held out; its world has no unit" in done.stdout
    assert "bench run captures/scene" in done.stderr
    assert len(open_capture(tmp_path / "captures" / "scene").train) == 7
    ran = bench("run", "captures/scene", "--methods", "3dgs", "--preset", "smoke", "--out", "run")
    assert ran.returncode == 0, ran.stderr
    assert records_in(tmp_path / "run")["3dgs"]["status"] == "ok"
    assert list((tmp_path / "run").glob("jobs/*/*/seed0/novel/*.png"))


def test_warnings_are_told_and_options_reach_the_capture(bench: Bench, scene: Path, tmp_path: Path) -> None:
    write_png(scene / "images" / "zzz.png", np.zeros((12, 16, 3), np.uint8))
    done = bench(
        *("import", "scene", "--poses", "colmap", "--out", "out", "--model", "scene/sparse/0"),
        *("--scale-mm", "2", "--downscale", "2"),
    )
    assert done.returncode == 0, done.stderr
    assert "Warning: The COLMAP model knows no pose of 1 photographs, first zzz.png" in done.stderr
    assert "in mm, 2 to each unit of the poses" in done.stdout
    capture = open_capture(tmp_path / "out")
    assert (capture.manifest["scale_mm"], capture.train[0].camera.width) == (2.0, 8)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("import", "scene", "--poses", "colmop"), "no poses colmop"),
        (("import", "gone", "--poses", "colmap"), "no folder gone"),
        (("import", "scene"), "--poses"),
        (("import", "scene", "--poses", "llff"), "poses_bounds.npy"),
        (("import", "scene", "--poses", "colmap", "--out", "scene"), "there already"),
        (("import", "scene", "--poses", "colmap", "--scale-mm", "-1"), "--scale-mm -1"),
        (("export", "tiny", "--format", "nerf", "--out", "out"), "no format nerf"),
        (("export", "tiny", "--format", "colmap", "--out", "scene"), "there already"),
        (("export", "tinny", "--format", "colmap", "--out", "out"), "no capture tinny"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_users_error_is_one_sentence_and_leaves_nothing(
    bench: Bench, scene: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = bench(*arguments)
    assert is_one_sentence(done), done.stderr
    assert says in done.stderr
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith("no-")} <= {
        "tiny",
        "scene",
        "captures",
    }
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("photos", "name"), [("beetle", "beetle"), ("beetle/images", "beetle"), ("wing/Photos", "wing"), ("a/b", "b")]
)
def test_a_capture_is_called_after_what_was_photographed(photos: str, name: str) -> None:
    assert default_folder(Path(photos)) == Path("captures") / name
