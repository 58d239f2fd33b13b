"""Splatting as a contestant, alone and after a restorer."""

from pathlib import Path

import numpy as np
import pytest
from captures import write_tiny_capture

from datasets.capture import Photographs
from datasets.captures import open_capture
from methods import configuration, contestants, three_dgs
from methods.contestant import Setting
from methods.splatting.gaussians import Gaussians


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    return open_capture(write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny", size=(48, 36))).photographs()


def setting(*families: str) -> Setting:
    return Setting(0, "cpu", configuration.resolve(families, "smoke"), "smoke", lambda done, total, what: None, {})


def test_it_renders_restores_and_saves_what_viewers_read(photographs: Photographs, tmp_path: Path) -> None:
    given = setting("3dgs")
    fitted = three_dgs.fit(photographs, given)
    view = photographs.views[0]
    image = fitted.render(view.camera)
    assert image.shape == view.image.shape
    assert 0 <= image.min() < image.max() <= 1
    np.testing.assert_array_equal(image, fitted.restored(view.name))
    fitted.save(tmp_path)
    assert len(Gaussians.load_ply(tmp_path / "point_cloud.ply")) == fitted.cost.gaussians
    assert fitted.cost.rasterizer == "cpu"
    assert fitted.cost.train_seconds > 0
    assert given.resolved["3dgs"]["steps"] == given.configs["3dgs"]["steps"]
    assert given.resolved["3dgs"]["dssim_weight"] == 0.2


def test_a_restorer_changes_what_is_splatted(photographs: Photographs) -> None:
    plain = three_dgs.fit(photographs, setting("3dgs"))
    restored = contestants.fit_of(contestants.find("rl+3dgs"))(photographs, setting("rl", "3dgs"))
    view = photographs.views[0]
    assert np.abs(plain.render(view.camera) - restored.render(view.camera)).max() > 0.01
    assert restored.cost.train_seconds > 0
