"""2D restorers as contestants: what they are given and what they give back."""

from types import SimpleNamespace

import numpy as np
import pytest
from defocused import defocus, photograph, psnr, scene

from datasets.cameras import Camera
from datasets.capture import Photograph, Photographs, PhotographWithCoc
from datasets.color import to_uint8
from datasets.errors import InputError
from methods.restoration.restorers import ToldConfig, richardson_lucy, richardson_lucy_told


def test_the_defocus_map_is_the_kernel_of_any_photograph() -> None:
    camera = Camera(128, 128, 100.0, 100.0, 64.0, 64.0, np.eye(4))
    sharp = photograph(scene("coins"))
    known, new = (
        Photograph(name, to_uint8(photograph(defocus(scene("coins"), radius))), camera)
        for name, radius in (("known", 2.0), ("new", 4.0))
    )
    setting = SimpleNamespace(device="cpu", progress=lambda *said: None, config=lambda family, kind: kind())
    fitted = richardson_lucy(Photographs((known,)), setting)  # type: ignore[arg-type]
    for view, radius in ((known, 2.0), (new, 4.0)):
        kernel = fitted.kernel(view)
        assert kernel.spread == "gather"
        assert np.median(kernel.coc) == pytest.approx(radius, rel=0.3)
        image = view.image / 255
        assert psnr(kernel.blur(sharp), image) > psnr(sharp, image) + 3


def test_an_oracle_that_is_told_the_blur_restores_better_than_one_that_estimates_it() -> None:
    camera = Camera(128, 128, 100.0, 100.0, 64.0, 64.0, np.eye(4))
    radii = np.broadcast_to(np.linspace(-4, 4, 128, dtype=np.float32), (128, 128))
    blurred, sharp = photograph(defocus(scene("coins"), np.abs(radii))), photograph(scene("coins"))
    view = PhotographWithCoc("a", to_uint8(blurred), camera, coc=radii)
    setting = SimpleNamespace(device="cpu", progress=lambda *said: None, config=lambda family, kind: kind())
    told, blind = (
        fit(Photographs((view,)), setting).restored("a")  # type: ignore[arg-type]
        for fit in (richardson_lucy_told, richardson_lucy)
    )
    assert psnr(told, sharp) > psnr(blurred, sharp) + 1
    assert psnr(told, sharp) > psnr(blind, sharp)


def test_what_an_oracle_is_told_can_be_wrong_by_a_factor_or_smooth() -> None:
    signed = np.where(np.arange(64) < 32, -4, 2).astype(np.float32) * np.ones((64, 1), np.float32)
    assert np.array_equal(ToldConfig().radius(signed), np.abs(signed))
    assert np.allclose(ToldConfig(times=0.5).radius(signed), np.abs(signed) / 2)
    smooth = ToldConfig(smoothed=4).radius(signed)
    assert smooth[:, 31:33].mean() == pytest.approx(3, abs=0.01)  # half of either
    assert smooth.mean() == pytest.approx(3, abs=0.01)
    for wrong in ({"times": -1.0}, {"smoothed": -1.0}, {"times": np.nan}):
        with pytest.raises(InputError, match="at least 0"):
            ToldConfig(**wrong)
