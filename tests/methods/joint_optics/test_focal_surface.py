"""What a thin lens leaves unexplained, learned within a bound."""

import numpy as np
import torch

from datasets.capture import Capture
from methods.joint_optics.focal_surface import FocalSurface
from methods.splatting.formation import viewport
from methods.splatting.gaussians import Gaussians


def test_a_bent_focal_surface_is_found_within_its_bound(capture: Capture) -> None:
    """A lens whose focus falls off towards the frame: the network learns to bend."""
    view = viewport(capture.train[0].camera, "cpu")
    center = torch.tensor(float(capture.train[0].camera.depth(np.zeros(3))))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        surface = FocalSurface(0.3)
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(1)) * 2
    gaussians = Gaussians(points, torch.ones(200, 4), torch.zeros(200, 3), torch.zeros(200), torch.zeros(200, 1, 3))
    assert surface(gaussians, view, center).abs().max() == 0
    seen = points @ view.w2c[:3, :3].T
    curved = 0.2 * (seen[:, 0] ** 2 + seen[:, 1] ** 2).clamp(max=9) / 9
    optimizer = torch.optim.Adam(surface.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        error = (surface(gaussians, view, center) - curved).square().mean()
        error.backward()
        optimizer.step()
    assert error < 0.1 * curved.var()
    with torch.no_grad():
        surface.outer.bias.fill_(100.0)
    assert surface(gaussians, view, center).max() <= 0.3
