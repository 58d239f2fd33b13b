"""Gaussians as values and as files."""

import numpy as np
import pytest
import torch
from plyfile import PlyData
from splatting_scenes import random_gaussians

from methods.splatting.gaussians import Gaussians

FIELDS = ("means", "quats", "log_scales", "logit_opacities", "sh")


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_ply_file_gives_back_what_was_saved(tmp_path, degree):
    gaussians = random_gaussians(7, degree).to(dtype=torch.float32)
    gaussians.save_ply(tmp_path / "scene.ply")
    loaded = Gaussians.load_ply(tmp_path / "scene.ply")
    for name in FIELDS:
        assert torch.equal(getattr(loaded, name), getattr(gaussians, name)), name


def test_the_ply_layout_is_that_of_the_3dgs_reference(tmp_path):
    gaussians = random_gaussians(3, 1).to(dtype=torch.float32)
    gaussians.save_ply(tmp_path / "scene.ply")
    vertices = PlyData.read(tmp_path / "scene.ply")["vertex"]
    names = [p.name for p in vertices.properties]
    assert names[:6] == ["x", "y", "z", "nx", "ny", "nz"]
    assert names[6:9] == ["f_dc_0", "f_dc_1", "f_dc_2"]
    assert names[9:18] == [f"f_rest_{i}" for i in range(9)]
    assert names[18:] == ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    # Higher coefficients are stored channel by channel: the second red one comes right after the first red one.
    assert np.array_equal(vertices["f_rest_1"], gaussians.sh[:, 2, 0].numpy())
    assert np.array_equal(vertices["f_rest_3"], gaussians.sh[:, 1, 1].numpy())


def test_a_ply_file_of_something_else_is_refused_by_name(tmp_path):
    vertices = np.zeros(2, dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    from plyfile import PlyElement

    PlyData([PlyElement.describe(vertices, "vertex")]).write(str(tmp_path / "points.ply"))
    with pytest.raises(ValueError, match=r"points\.ply is not a 3D Gaussian Splatting.*'f_dc_0'"):
        Gaussians.load_ply(tmp_path / "points.ply")


def test_scales_and_opacities_are_the_activated_parameters():
    gaussians = random_gaussians(5)
    assert torch.equal(gaussians.scales, torch.exp(gaussians.log_scales))
    assert torch.equal(gaussians.opacities, torch.sigmoid(gaussians.logit_opacities))
    assert len(gaussians) == 5
    assert gaussians.sh_degree == 1


def test_shapes_that_do_not_belong_together_are_refused():
    good = random_gaussians(4)
    with pytest.raises(ValueError, match=r"quats has shape \(3, 4\), expected \(4, 4\)"):
        Gaussians(good.means, good.quats[:3], good.log_scales, good.logit_opacities, good.sh)
    with pytest.raises(ValueError, match="sh has shape"):
        Gaussians(good.means, good.quats, good.log_scales, good.logit_opacities, good.sh[:, :3])


def test_a_filter_adds_its_variance_to_every_axis_and_keeps_opacity_times_volume():
    gaussians = random_gaussians(5)
    smooth = gaussians.smoothed(0.3)
    torch.testing.assert_close(smooth.scales**2, gaussians.scales**2 + 0.09)
    volume = smooth.opacities * smooth.scales.prod(dim=1)
    torch.testing.assert_close(volume, gaussians.opacities * gaussians.scales.prod(dim=1))
    torch.testing.assert_close(gaussians.smoothed(0.0).log_scales, gaussians.log_scales)


def test_a_floor_widens_what_is_finer_and_nothing_else():
    gaussians = random_gaussians(5)
    floor = float(gaussians.scales.median())
    coarse = gaussians.no_finer_than(floor)
    torch.testing.assert_close(coarse.scales, gaussians.scales.clamp_min(floor))
    assert torch.equal(coarse.logit_opacities, gaussians.logit_opacities)
