"""The thin lens for gradient descent against the one that captures are made with."""

import numpy as np
import pytest
import torch

from datasets.optics import ThinLens
from methods.defocus.lens import FocusedLens


def test_the_circle_of_confusion_is_that_of_the_thin_lens() -> None:
    lens = ThinLens(focal_length=60.0, f_number=2.1, focus_distance=105.0, pixel_pitch=0.1)
    depths = np.linspace(95.0, 120.0, 11)
    focus, aperture = torch.tensor([105.0, lens.aperture_radius], dtype=torch.float64)
    twin = FocusedLens(focus, aperture, lens.focal_length_px)
    np.testing.assert_allclose(twin.coc_radius(torch.tensor(depths)).numpy(), lens.coc_radius(depths), rtol=1e-9)


def test_its_gradients_are_those_of_finite_differences() -> None:
    def radius(focus: torch.Tensor, aperture: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        return FocusedLens(focus, aperture, 1300.0).coc_radius(depth)

    inputs = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (105.0, 14.0, 103.0)]
    assert torch.autograd.gradcheck(radius, inputs)


@pytest.mark.parametrize(("depth", "sign"), [(110.0, 1), (105.0, 0), (100.0, -1)])
def test_the_sign_tells_behind_from_before_the_focal_plane(depth: float, sign: int) -> None:
    lens = FocusedLens(torch.tensor(105.0), torch.tensor(14.0), 1300.0)
    assert torch.sign(lens.coc_radius(torch.tensor(depth))) == sign
