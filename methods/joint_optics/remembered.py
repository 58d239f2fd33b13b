"""The image that a lens makes, at the price of a few of its points: what the others saw is remembered.

The image is the mean of what all points of the lens see, x = mean_i x_i, each of which is a render. A step renders some
of them, S, and takes for that mean

    x ~ mean_S x_i + (mean_i m_i - mean_S m_i),

where m_i is what point i saw when it last was rendered for this view. Over the choice of S its expectation is x,
whatever m is, and so is that of the gradient, which flows through S alone (a control variate, as in SAGA: Defazio, Bach
and Lacoste-Julien 2014). It varies by what has changed differently from point to point, and from visit to visit little
does. The mean of the memory itself would not do: it answers late to what a step changes, and training swings.
"""

from __future__ import annotations

import torch
from torch import Tensor

from methods.defocus.scene import Aperture, Blurred, Shot
from methods.splatting.gaussians import Gaussians


class RememberedLens:
    """What the points of the lens saw of every view: two bytes for each channel of each pixel and point.

    fresh: how many points a step renders; 0, or as many as the lens has, renders all and remembers none.
    """

    def __init__(self, fresh: int, random: torch.Generator) -> None:
        self.fresh, self._random = fresh, random
        self._memory: dict[int, Tensor] = {}  # [points, H, W, 3] of a view

    def forget(self, view: int) -> None:
        """Render the next image of `view` from all points: what it was has nothing to do with what it will be."""
        self._memory.pop(view, None)

    def image(self, view: int, blur: Aperture, gaussians: Gaussians, shot: Shot) -> Blurred:
        """`shot`, which is of `view`, as `blur` makes it. Points are told apart by their number alone, so
        `blur.angle` should be the same for every image of a view."""
        if not 0 < self.fresh < blur.points:
            return blur(gaussians, shot)
        memory = self._memory.get(view)
        if memory is None or len(memory) != blur.points:
            draws = blur.renders(gaussians, shot, range(blur.points))
            colors = torch.stack([drawn.color for drawn in draws])
            self._memory[view] = colors.detach().half()
            return Blurred(colors.mean(0), draws[0])
        chosen = torch.randperm(blur.points, generator=self._random)[: self.fresh].tolist()
        draws = blur.renders(gaussians, shot, chosen)
        image = torch.stack([drawn.color for drawn in draws]).mean(0)
        # Numbers, not a list of them, as indices: a list is copied to the device, for which the host would wait.
        before = torch.stack([memory[i] for i in chosen]).float().mean(0)
        image = image + (memory.mean(0, dtype=torch.float32) - before)
        for i, drawn in zip(chosen, draws, strict=True):
            memory[i] = drawn.color.detach()
        return Blurred(image, draws[0])
