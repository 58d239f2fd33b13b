"""The thin lens for gradient descent: `datasets.optics.ThinLens` with tensors for focus and aperture."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class FocusedLens(NamedTuple):
    """A lens in front of one view. focus: distance of the focal plane along the optical axis; aperture: radius of
    the entrance pupil; both scalars in the unit of the scene (mm in macro captures). fx: px. A curved focal surface
    has a focus for each of the depths that are asked for."""

    focus: Tensor
    aperture: Tensor
    fx: float

    def coc_radius(self, depth: Tensor) -> Tensor:
        """Signed CoC radius in px at `depth` (scene unit, > 0, any shape), r = a fx (1 / d0 - 1 / d); > 0 behind
        the focal plane. Twin of `ThinLens.coc_radius`, differentiable in focus, aperture and depth."""
        return self.aperture * self.fx * (1 / self.focus - 1 / depth)
