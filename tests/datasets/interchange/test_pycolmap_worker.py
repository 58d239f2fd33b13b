"""pycolmap stays in its own process, and what happens to that process is told in one sentence."""

import subprocess
import sys

import numpy as np
from by_pycolmap import by_pycolmap

from datasets.capture import Points
from datasets.interchange import colmap, sparse
from datasets.interchange.distortion import Lens


def test_nothing_but_the_worker_loads_pycolmap(tiny, tmp_path):
    program = (
        "import sys; from pathlib import Path; from datasets.captures import open_capture;"
        "from datasets.interchange.exporting import export_capture;"
        "from datasets.interchange.importing import import_capture;"
        "export_capture(open_capture(sys.argv[1]), 'colmap', Path(sys.argv[2]));"
        "import_capture(Path(sys.argv[2]), 'colmap', Path(sys.argv[3]));"
        "sys.exit('pycolmap' in sys.modules)"
    )
    command = [sys.executable, "-c", program, tiny, tmp_path / "scene", tmp_path / "back"]
    assert subprocess.run(command).returncode == 0


def test_the_worker_itself_loads_no_other_library_of_images():
    program = (
        "import sys, pycolmap; from datasets.interchange import pycolmap_worker;"
        "sys.exit(bool({'cv2', 'PIL', 'torch', 'OpenEXR'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_cameras_have_as_many_parameters_as_pycolmap_gives_them():
    program = """
models = [model for model in pycolmap.CameraModelId.__members__.values() if int(model) >= 0]
make = pycolmap.Camera.create_from_model_id
answer = [[int(model), len(make(1, model, 70.0, 60, 40).params)] for model in models]
"""
    assert dict(by_pycolmap(program)) == colmap.PARAMETERS


def test_a_model_that_is_written_is_read_back(tmp_path):
    lens = Lens("OPENCV", 16, 12, (20.25, 21.5, 8.0, 6.125, 0.1, -0.05, 1e-3, -2e-3))
    w2c = np.array([[0.0, 1, 0, 0.1], [0, 0, 1, 0.2], [1, 0, 0, 0.3]])
    images = tuple(
        sparse.Image(f"left/{name}.jpg", lens, w2c + np.array([0, 0, 0, index])) for index, name in enumerate("ab")
    )
    points = Points(np.array([[0.1, 0.2, 0.3]], np.float32), np.array([[1, 2, 255]], np.uint8))
    colmap.write(sparse.Model(images, points), tmp_path)
    found = colmap.read(tmp_path)
    assert [image.path for image in found.images] == ["left/a.jpg", "left/b.jpg"]
    for before, after in zip(images, found.images, strict=True):
        assert after.lens == lens
        np.testing.assert_allclose(after.w2c, before.w2c, atol=1e-12)
    np.testing.assert_array_equal(found.points.xyz, points.xyz)
    np.testing.assert_array_equal(found.points.rgb, points.rgb)


def test_an_environment_without_pycolmap_is_named(tmp_path, monkeypatch, refused):
    (tmp_path / "hidden" / "pycolmap").mkdir(parents=True)
    (tmp_path / "hidden" / "pycolmap" / "__init__.py").write_text("raise ImportError('No module named pycolmap')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))
    with refused("No module named pycolmap", tmp_path / "out"):
        colmap.write(sparse.Model((), Points(np.empty((0, 3)), np.empty((0, 3), np.uint8))), tmp_path / "out")


def test_a_worker_that_is_killed_is_told(tmp_path, monkeypatch, refused):
    (tmp_path / "hidden" / "pycolmap").mkdir(parents=True)
    (tmp_path / "hidden" / "pycolmap" / "__init__.py").write_text("import os; os.kill(os.getpid(), 9)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))
    with refused("signal 9"):
        colmap.write(sparse.Model((), Points(np.empty((0, 3)), np.empty((0, 3), np.uint8))), tmp_path / "out")
