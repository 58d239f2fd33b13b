"""Real spherical harmonics up to degree 3: the view-dependent colour of a Gaussian.

Basis, signs and order are those of 3D Gaussian Splatting (Kerbl et al. 2023), so that its PLY files mean the
same here; each constant is written as the closed form that it is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MAX_DEGREE = 3

# Normalisation of the real basis, by degree.
Y0 = 0.5 / math.sqrt(math.pi)
Y1 = math.sqrt(3.0 / (4.0 * math.pi))
Y2_XY = 0.5 * math.sqrt(15.0 / math.pi)
Y2_ZZ = 0.25 * math.sqrt(5.0 / math.pi)
Y3_3 = 0.25 * math.sqrt(35.0 / (2.0 * math.pi))
Y3_2 = 0.5 * math.sqrt(105.0 / math.pi)
Y3_1 = 0.25 * math.sqrt(21.0 / (2.0 * math.pi))
Y3_0 = 0.25 * math.sqrt(7.0 / math.pi)


def basis(
    degree: int,
    directions: Tensor,  # [..., 3] unit vectors
) -> Tensor:  # [..., (degree + 1)^2]
    """Value of every basis function in the given directions.

    Raises ValueError for a degree outside 0..3.
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"spherical harmonics of degree {degree} are not supported: use 0 to {MAX_DEGREE}")
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    terms = [torch.full_like(x, Y0)]
    if degree >= 1:
        terms += [-Y1 * y, Y1 * z, -Y1 * x]
    if degree >= 2:
        terms += [
            Y2_XY * x * y,
            -Y2_XY * y * z,
            Y2_ZZ * (3.0 * zz - 1.0),
            -Y2_XY * x * z,
            0.5 * Y2_XY * (xx - yy),
        ]
    if degree >= 3:
        terms += [
            -Y3_3 * y * (3.0 * xx - yy),
            Y3_2 * x * y * z,
            -Y3_1 * y * (5.0 * zz - 1.0),
            Y3_0 * z * (5.0 * zz - 3.0),
            -Y3_1 * x * (5.0 * zz - 1.0),
            0.5 * Y3_2 * z * (xx - yy),
            -Y3_3 * x * (xx - 3.0 * yy),
        ]
    return torch.stack(terms, dim=-1)


def colors(
    sh: Tensor,  # [N, K, 3] coefficients, K >= (degree + 1)^2
    means: Tensor,  # [N, 3] world
    camera_center: Tensor,  # [3] world
    degree: int,
) -> Tensor:  # [N, 3] >= 0
    """Colour of each Gaussian as seen from the camera centre: SH + 0.5, clamped at 0 (as in 3DGS and gsplat)."""
    directions = torch.nn.functional.normalize(means - camera_center, dim=-1)
    weights = basis(degree, directions)  # [N, (degree + 1)^2]
    return ((weights[..., None] * sh[:, : weights.shape[-1]]).sum(dim=1) + 0.5).clamp(min=0.0)


def dc_from_rgb(
    rgb: Tensor,  # [..., 3]
) -> Tensor:  # [..., 3]
    """Degree-0 coefficient that gives this colour from every side."""
    return (rgb - 0.5) / Y0
