"""A speckled ball with the lens before it, in memory, and the shipped capture at half its size."""

import numpy as np
import pytest
import torch
from captures import BALL_RADIUS, DISTANCE

from datasets import convert
from datasets.cameras import Camera, look_at
from datasets.capture import BACKDROPS, Capture, Optics
from datasets.captures import open_capture
from methods.joint_optics.lensed import LensedScene
from methods.splatting.config import SplattingConfig
from methods.splatting.gaussians import Gaussians

SIZE = (64, 60)
OPTICS = Optics(focal_length=60.0, f_number=1.2, pixel_pitch=60.0 * 2 * BALL_RADIUS / (DISTANCE - 60.0) / (0.8 * 60))


def ball() -> Gaussians:
    """Opaque speckles all over a sphere about the origin."""
    generator = torch.Generator().manual_seed(0)
    n = 3000
    direction = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=1)
    return Gaussians(
        means=BALL_RADIUS * direction,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        log_scales=torch.full((n, 3), float(np.log(0.4))),
        logit_opacities=torch.full((n,), 3.0),
        sh=2.5 * (torch.rand(n, 1, 3, generator=generator) > 0.5) - 1.0,
    )


@pytest.fixture(scope="session")
def scene() -> LensedScene:
    """The ball, twelve cameras around it, and the lens, focused between the ball's front and its centre."""
    golden = np.pi * (3 - np.sqrt(5))
    cameras, focus = {}, {}
    for index in range(12):
        elevation, azimuth = np.deg2rad(10 + 5 * index), golden * index
        across = np.cos(elevation) * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        name = f"{index:02d}"
        focus[name] = DISTANCE - BALL_RADIUS * (0.9, 0.5, 0.1)[index % 3]
        fx = OPTICS.lens(focus[name]).focal_length_px
        pose = look_at(DISTANCE * (across + np.array([0.0, 0.0, np.sin(elevation)])), np.zeros(3))
        cameras[name] = Camera(*SIZE, fx, fx, SIZE[0] / 2, SIZE[1] / 2, pose)
    config = SplattingConfig(1, 1, 1, light="linear", dilation=0.1)
    aperture = OPTICS.lens(DISTANCE).aperture_radius
    return LensedScene(ball(), cameras, BACKDROPS["gray"], config, "cpu", focus, aperture)


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """The shipped beetle at 64 px."""
    root = tmp_path_factory.mktemp("small") / "demo-64"
    convert.write(open_capture("demo"), root, 2)
    return open_capture(root)
