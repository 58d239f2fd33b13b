"""The scene: a set of anisotropic 3D Gaussians with opacity and view-dependent colour (Kerbl et al. 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from methods.splatting.sh import MAX_DEGREE


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians in the parameters that are optimised.

    Any tensor may be a leaf or the result of a computation; gradients flow into all of them. Covariance is
    R S S^T R^T with R from `quats` and S = diag(exp(`log_scales`)); opacity is sigmoid(`logit_opacities`).
    Raises ValueError if the shapes do not belong together.
    """

    means: Tensor  # [N, 3] world, in the unit of the scene (mm)
    quats: Tensor  # [N, 4] rotation as w, x, y, z; need not be normalised
    log_scales: Tensor  # [N, 3] logarithm of the standard deviation along each own axis
    logit_opacities: Tensor  # [N]
    sh: Tensor  # [N, (L + 1)^2, 3] spherical harmonics

    def __post_init__(self) -> None:
        n = self.means.shape[0]
        expected = {"means": (n, 3), "quats": (n, 4), "log_scales": (n, 3), "logit_opacities": (n,)}
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"Gaussians.{name} has shape {tuple(getattr(self, name).shape)}, expected {shape}")
        sizes = [(degree + 1) ** 2 for degree in range(MAX_DEGREE + 1)]
        if self.sh.ndim != 3 or self.sh.shape[0] != n or self.sh.shape[1] not in sizes or self.sh.shape[2] != 3:
            raise ValueError(
                f"Gaussians.sh has shape {tuple(self.sh.shape)}, expected ({n}, K, 3) with K one of {sizes}"
            )

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def scales(self) -> Tensor:  # [N, 3] > 0
        """Standard deviation along each own axis, in the unit of the scene."""
        return self.log_scales.exp()

    @property
    def opacities(self) -> Tensor:  # [N] in 0..1
        """Peak opacity."""
        return self.logit_opacities.sigmoid()

    @property
    def sh_degree(self) -> int:
        """Highest degree that `sh` has room for."""
        return math.isqrt(self.sh.shape[1]) - 1

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Gaussians:
        """The same Gaussians on another device or in another floating-point type; differentiable."""
        return Gaussians(**{f.name: getattr(self, f.name).to(device=device, dtype=dtype) for f in fields(self)})

    def detach(self) -> Gaussians:
        """The same values without their history."""
        return Gaussians(**{f.name: getattr(self, f.name).detach() for f in fields(self)})

    def clone(self) -> Gaussians:
        """A copy that changes to these leave alone."""
        return Gaussians(**{f.name: getattr(self, f.name).clone() for f in fields(self)})

    def smoothed(self, std: float) -> Gaussians:
        """The same under a Gaussian filter of `std` (unit of the scene): every axis widens to sqrt(s^2 + std^2), and
        opacity falls as the volume grows (Yu et al. 2024, Mip-Splatting, Eq. 9)."""
        squares = (2 * self.log_scales).exp()
        log_scales = 0.5 * (squares + std**2).log()
        fainter = self.opacities * (self.log_scales - log_scales).sum(dim=1).exp()
        return replace(self, log_scales=log_scales, logit_opacities=torch.logit(fainter, eps=1e-7))

    def no_finer_than(self, std: float) -> Gaussians:
        """The same with every axis at least `std` (unit of the scene)."""
        return replace(self, log_scales=self.log_scales.clamp_min(math.log(std)))

    def save_ply(self, path: Path | str) -> None:
        """Write the point-cloud layout of the 3DGS reference implementation, which viewers understand.

        One float32 vertex per Gaussian: x y z, nx ny nz (zero), f_dc_*, f_rest_* (channel by channel), opacity
        (logit), scale_* (logarithm), rot_* (w, x, y, z).
        """
        from plyfile import PlyData, PlyElement

        columns = _ply_columns(self.sh.shape[1] - 1)
        values = {f.name: getattr(self, f.name).detach().cpu().to(torch.float32) for f in fields(self)}
        table = torch.cat(
            [
                values["means"],
                torch.zeros_like(values["means"]),
                values["sh"][:, 0],
                values["sh"][:, 1:].transpose(1, 2).flatten(1),
                values["logit_opacities"][:, None],
                values["log_scales"],
                values["quats"],
            ],
            dim=1,
        ).numpy()
        vertices = np.empty(len(self), dtype=[(name, "<f4") for name in columns])
        for column, name in enumerate(columns):
            vertices[name] = table[:, column]
        PlyData([PlyElement.describe(vertices, "vertex")], text=False).write(str(path))

    @staticmethod
    def load_ply(path: Path | str) -> Gaussians:
        """Read a file of the layout that `save_ply` writes, on the CPU in float32.

        Raises ValueError, naming the file and the column, if a column is missing.
        """
        from plyfile import PlyData

        vertices = PlyData.read(str(path))["vertex"]
        names = {p.name for p in vertices.properties}
        n_rest = sum(name.startswith("f_rest_") for name in names)
        missing = [c for c in _ply_columns(n_rest // 3) if c not in names and not c.startswith("n")]
        if missing or n_rest % 3:
            reason = f"no column {missing[0]!r}" if missing else f"{n_rest} columns f_rest_*, not a multiple of 3"
            raise ValueError(f"{path} is not a 3D Gaussian Splatting point cloud: {reason}")

        def columns(*wanted: str) -> Tensor:  # [N, len(wanted)]
            return torch.from_numpy(np.stack([np.asarray(vertices[c], np.float32) for c in wanted], axis=1))

        dc = columns("f_dc_0", "f_dc_1", "f_dc_2")[:, None]  # [N, 1, 3]
        sh = dc
        if n_rest:
            rest = columns(*(f"f_rest_{i}" for i in range(n_rest)))
            sh = torch.cat([dc, rest.reshape(len(rest), 3, n_rest // 3).transpose(1, 2)], dim=1)
        return Gaussians(
            means=columns("x", "y", "z"),
            quats=columns("rot_0", "rot_1", "rot_2", "rot_3"),
            log_scales=columns("scale_0", "scale_1", "scale_2"),
            logit_opacities=columns("opacity")[:, 0],
            sh=sh.contiguous(),
        )


def _ply_columns(n_rest: int) -> list[str]:
    """Column names in file order; n_rest is the number of coefficients per channel above degree 0."""
    return [
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{i}" for i in range(3 * n_rest)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]
