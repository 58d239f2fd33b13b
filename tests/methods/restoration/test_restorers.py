"""2D restorers as contestants: what they are given and what they give back."""

from types import SimpleNamespace

import numpy as np
import pytest
from defocused import defocus, photograph, psnr, scene

from datasets.cameras import Camera
from datasets.capture import Photograph, Photographs
from datasets.color import to_uint8
from methods.restoration.restorers import richardson_lucy


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
