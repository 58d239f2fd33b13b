"""What a lens makes of two surfaces, exactly: the mean over points of the lens, each of which sees the front shifted
against the back. In numpy, with nothing of the code under test."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TwoLayers:
    """sharp: [H, W, 3] from the middle of the lens. alpha: [H, W] of the front. photograph: [H, W, 3] through the
    whole lens. band: [H, W] whether within 5 px of the front's outline."""

    sharp: np.ndarray
    alpha: np.ndarray
    photograph: np.ndarray
    band: np.ndarray


def two_layers(size: int, front_radius: float, back_radius: float, points: int = 1024, seed: int = 0) -> TwoLayers:
    """A front with a lobed outline before a back, both with 1/f texture and opaque, and signed CoC radii in px."""
    margin = 20
    n = size + 2 * margin
    random = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None, :]
    frequency = np.hypot(fx, fy)
    frequency[0, 0] = np.inf
    front, back = (_texture(random, frequency, n) for _ in range(2))
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    angle = np.arctan2(y, x)
    inward = size * 0.26 * (1 + 0.25 * np.cos(3 * angle) + 0.1 * np.sin(7 * angle)) - np.hypot(x, y)
    alpha = 1 / (1 + np.exp(-2.2 * inward))
    layer = np.dstack([front * alpha[..., None], alpha])
    spectra = np.fft.rfft2(layer, axes=(0, 1)), np.fft.rfft2(back, axes=(0, 1))

    total = np.zeros((n, n, 3))
    for k in range(points):
        radius, turn = np.sqrt((k + 0.5) / points), (k + 0.5) * np.pi * (3 - np.sqrt(5))
        wave = -2j * np.pi * radius * (fx * np.cos(turn) + fy * np.sin(turn))
        seen_front, seen_back = (
            np.fft.irfft2(spectrum * np.exp(wave * shift)[..., None], s=(n, n), axes=(0, 1))
            for spectrum, shift in zip(spectra, (front_radius, back_radius), strict=True)
        )
        total += seen_front[..., :3] + (1 - seen_front[..., 3:]) * seen_back
    inside = slice(margin, -margin)
    sharp = layer[..., :3] + (1 - alpha[..., None]) * back
    whole = (sharp, alpha, total / points, np.abs(inward) < 5)
    return TwoLayers(*(array[inside, inside] for array in whole))


def _texture(random: np.random.Generator, frequency: np.ndarray, n: int) -> np.ndarray:
    noise = np.fft.rfft2(random.normal(size=(n, n, 3)), axes=(0, 1))
    shaped = noise * (np.exp(-((frequency / 0.35) ** 4)) / frequency)[..., None]
    shaped[0, 0] = 0
    texture = np.fft.irfft2(shaped, s=(n, n), axes=(0, 1))
    return np.clip(0.5 + 0.17 * texture / texture.std(), 0, 1)
