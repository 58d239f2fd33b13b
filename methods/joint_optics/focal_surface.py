"""A residual on top of the thin lens: its focal plane may bend, within a bound, as a small network says."""

from __future__ import annotations

import torch
from torch import Tensor

from methods.splatting.gaussians import Gaussians
from methods.splatting.viewport import Viewport


class FocalSurface(torch.nn.Module):
    """What a thin lens leaves unexplained, such as a curved field: how far (scene radii) the distance of sharpest focus
    differs from the focal plane's, by where a Gaussian stands in the picture and in depth. It begins at 0 and is
    within `most`; refocusing and kernels are the thin lens's, without it."""

    def __init__(self, most: float, hidden: int = 16) -> None:
        super().__init__()
        self.most = most
        self.inner, self.outer = torch.nn.Linear(3, hidden), torch.nn.Linear(hidden, 1)
        torch.nn.init.zeros_(self.outer.weight)
        torch.nn.init.zeros_(self.outer.bias)

    def forward(self, gaussians: Gaussians, view: Viewport, center: Tensor) -> Tensor:
        """[N], of every Gaussian. center: depth of the scene's centre in this view."""
        seen = gaussians.means.detach() @ view.w2c[:3, :3].T + view.w2c[:3, 3]
        across = view.fx / view.width * seen[:, :2] / seen[:, 2:].clamp_min(1e-3 * center)
        # In units of the half-width of the field, which is about the scene's radius.
        along = (seen[:, 2:] / center - 1) * 2 * view.fx / view.width
        inputs = torch.cat([2 * across, along], dim=1).clamp(-2, 2)
        out: Tensor = self.outer(torch.tanh(self.inner(inputs)))[:, 0]
        return self.most * torch.tanh(out)
