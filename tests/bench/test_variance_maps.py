"""The picture after the seed paper's Fig. 8."""

from pathlib import Path

import numpy as np
from PIL import Image

from bench.variance_maps import VIEWS, write_variance_maps
from datasets.captures import open_capture
from datasets.images import write_exr


def leave_maps(tiny: Path, folder: Path, factor: float) -> Path:
    """The track "kernel" of a model that finds `factor` times the true radii."""
    folder.mkdir()
    for view in open_capture(tiny).train:
        write_exr(folder / f"{view.name}.exr", (factor * view.truth().coc).astype(np.float32))
    return folder


def picture(tiny: Path, tmp_path: Path, *factors: float) -> np.ndarray:
    path = tmp_path / "maps.png"
    models = [(str(factor), leave_maps(tiny, tmp_path / str(factor), factor)) for factor in factors]
    assert write_variance_maps(path, open_capture(tiny), models)
    return np.asarray(Image.open(path))


def test_a_row_for_each_chosen_photograph_with_a_column_for_each_model_beside_the_truth(
    tiny: Path, tmp_path: Path
) -> None:
    one = picture(tiny, tmp_path, 1.0)
    two = picture(tiny, tmp_path, 0.5, 0.9)
    assert one.shape[0] == two.shape[0]
    assert (two.shape[1] - 6) // 5 == (one.shape[1] - 6) // 4  # photograph, clarity mask, models, truth
    assert (one.shape[0] - 6) % VIEWS == 0


def test_a_model_that_is_right_looks_like_the_truth_whatever_its_signs(tiny: Path, tmp_path: Path) -> None:
    image = picture(tiny, tmp_path, -1.0)
    cell = (image.shape[1] - 6) // 4
    label = 22 + 6
    for top in range(0, image.shape[0] - 6, (image.shape[0] - 6) // VIEWS):
        rows = slice(top + label, top + (image.shape[0] - 6) // VIEWS)
        found, true = image[rows, 2 * cell : 3 * cell], image[rows, 3 * cell : 4 * cell]
        np.testing.assert_array_equal(found, true)
        assert found.std() > 5


def test_what_a_model_says_beside_the_object_is_not_shown(tiny: Path, tmp_path: Path) -> None:
    folder = leave_maps(tiny, tmp_path / "everywhere", 1.0)
    for view in open_capture(tiny).train:
        coc = view.truth().coc
        write_exr(folder / f"{view.name}.exr", np.where(coc == 0, 100, coc).astype(np.float32))
    assert write_variance_maps(tmp_path / "everywhere.png", open_capture(tiny), [("1.0", folder)])
    everywhere = np.asarray(Image.open(tmp_path / "everywhere.png"))
    np.testing.assert_array_equal(everywhere, picture(tiny, tmp_path, 1.0))


def test_without_a_model_of_the_blur_there_is_no_picture(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "maps.png"
    assert not write_variance_maps(path, open_capture(tiny), [("none", tmp_path / "absent")])
    assert not path.exists()
