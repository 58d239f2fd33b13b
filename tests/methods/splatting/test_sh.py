"""Spherical harmonics: orthonormal, and those of 3DGS."""

import math

import numpy as np
import pytest
import torch

from methods.splatting import sh


def test_the_basis_is_orthonormal_on_the_sphere():
    # Gauss-Legendre in cos(theta), equal steps in phi: exact for products of degree 3.
    nodes, weights = np.polynomial.legendre.leggauss(8)
    phi = torch.arange(16, dtype=torch.float64) * (2 * math.pi / 16)
    z = torch.from_numpy(nodes)[:, None].expand(8, 16)
    ring = torch.sqrt(1 - z * z)
    directions = torch.stack([ring * torch.cos(phi), ring * torch.sin(phi), z], dim=-1).reshape(-1, 3)
    area = (torch.from_numpy(weights)[:, None] * (2 * math.pi / 16)).expand(8, 16).reshape(-1)
    values = sh.basis(3, directions)
    gram = values.T @ (values * area[:, None])
    assert torch.allclose(gram, torch.eye(16, dtype=torch.float64), atol=1e-12)


def test_the_basis_is_that_of_gsplat():
    impl = pytest.importorskip("gsplat.cuda._torch_impl")
    directions = torch.randn(50, 3, dtype=torch.float64)
    coefficients = torch.randn(50, 16, 3, dtype=torch.float64)
    unit = torch.nn.functional.normalize(directions, dim=-1)
    for degree in range(4):
        n = (degree + 1) ** 2
        ours = (sh.basis(degree, unit)[..., None] * coefficients[:, :n]).sum(1)
        theirs = impl._spherical_harmonics(degree, directions, coefficients)
        assert torch.allclose(ours, theirs, atol=1e-12), degree


def test_colour_is_shifted_by_half_and_never_negative():
    rgb = torch.tensor([[0.2, 0.5, 0.9], [-0.4, 0.0, 1.5]])
    coefficients = sh.dc_from_rgb(rgb)[:, None]
    colors = sh.colors(coefficients, torch.randn(2, 3), torch.zeros(3), 0)
    assert torch.allclose(colors, rgb.clamp(min=0.0), atol=1e-6)


def test_degrees_beyond_three_are_refused():
    with pytest.raises(ValueError, match="degree 4"):
        sh.basis(4, torch.zeros(1, 3))
