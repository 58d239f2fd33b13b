"""What runs on CUDA keeps every tensor on the device that it belongs on; found out where there is none.

gsplat's and Triton's kernels, which have tests of their own, are replaced by ours for the CPU.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from captures import write_tiny_capture
from defocused import scene
from pretend_cuda import pretended, there_and_back, waits
from training_pairs import write_pairs

from bench.kernel_accuracy import ceiling
from bench.perf import blur as perf_blur
from bench.perf import rasterizer as perf_rasterizer
from bench.perf import restore as perf_restore
from bench.perf import train as perf_train
from datasets.capture import Capture
from datasets.captures import open_capture
from datasets.color import linear_to_srgb
from datasets.pairs import open_pairs
from methods import configuration, contestants
from methods.contestant import Entry, Setting
from methods.defocus import disk, disk_cpu, gauss, gauss_cpu
from methods.restoration import architectures, checkpoint
from methods.restoration.architectures import ARCHITECTURES
from methods.restoration.learned import Restorer
from methods.restoration.learning.loop import train
from methods.restoration.learning.recipe import plan
from methods.restoration.networks.tlc import with_local_statistics
from methods.splatting import cpu, gsplat_backend
from methods.splatting.viewport import Render

FEW = {
    "steps": 24,
    "initial_gaussians": 200,
    "max_gaussians": 240,
    "sh_every": 8,
    "refine_start": 8,
    "refine_every": 8,
}


def rasterize(*arguments: Any) -> Render:
    drawn: Render = there_and_back(cpu.rasterize)(*arguments)
    return replace(drawn, backend="gsplat", screen_offsets=arguments[-1])


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return open_capture(write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny", size=(32, 24)))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gsplat_backend, "rasterize", rasterize)
    for module, kernels in ((gauss, gauss_cpu), (disk, disk_cpu)):
        name = f"on_pretended_cuda_{kernels.__name__.rpartition('.')[2]}"
        functions = {key: value for key, value in vars(kernels).items() if callable(value)}
        stand_in = SimpleNamespace(**{key: there_and_back(value) for key, value in functions.items()})
        monkeypatch.setitem(sys.modules, name, stand_in)
        monkeypatch.setitem(module._FUSED, "triton", name)
    with pretended():
        yield


def fit(
    entry: Entry,
    capture: Capture,
    changes: list[str],
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Any:
    configs = configuration.resolve(entry.configs, "smoke", entry.changes)
    configs["3dgs"] |= FEW
    for family, settings in configuration.parse_changes(changes).items():
        configs[family] |= settings
    photographs = capture.photographs() if entry.uses_optics else capture.photographs().without_optics()
    return contestants.fit_of(entry)(photographs, Setting(0, "cuda", configs, "smoke", progress, {}))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("3dgs", []),
        ("3dgs", ["3dgs.densify=relocate", "3dgs.init=points", "3dgs.opacity_penalty=0.01"]),
        ("3dgs", ["3dgs.smoothing=0.5", "3dgs.scale_floor=0.3"]),
        ("joint", []),
        ("joint", ["joint.stages=false", "joint.blurnet=false"]),
        ("joint-linear", ["joint.mask=false"]),
        ("joint-optics", []),
        ("joint-optics", ["joint-optics.early_stop=3", "joint-optics.residual=0.1", "joint-optics.focus_weight=2.0"]),
        ("joint-optics-known", []),
    ],
)
def test_contestants_train_render_and_tell_the_blur(cuda, capture, tmp_path, name, changes):
    entry = contestants.find(name)
    fitted = fit(entry, capture, changes)
    assert (fitted.cost.rasterizer, fitted.cost.memory_of) == ("gsplat", "cuda allocator")
    view = capture.test[0]
    assert fitted.render(view.camera).shape == (24, 32, 3)
    assert np.isfinite(fitted.restored(capture.train[0].name)).all()
    fitted.save(tmp_path)
    if "kernel" in entry.outputs:
        for photograph in (view.photograph(), capture.train[0].photograph()):
            kernel = fitted.kernel(photograph)
            assert np.isfinite(kernel.coc).all()
            assert np.isfinite(kernel.blur(view.truth().sharp.astype(np.float32) / 255)).all()


@pytest.mark.parametrize("name", ["3dgs", "joint", "joint-optics"])
def test_in_a_step_of_training_the_host_does_not_wait_for_the_device(cuda, capture, name):
    """But for the rasterizer, which asks how many tiles the Gaussians cover; for every hundredth step, which asks
    whether the loss is finite; for the last, which asks whether the scene is; and for the first sight of a view, which
    is brought to the device."""
    waited = {}

    def progress(done, total, what):
        waited[done] = waits.total()

    # What half a size needs would be brought there in the midst.
    stages = ["joint.stages=false"] if name == "joint" else []
    fit(contestants.find(name), capture, ["3dgs.densify=none", *stages], progress)
    assert waited[23] == waited[len(capture.train)] > 0
    assert waited[24] > waited[23]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_networks_restore_and_tell_the_blur(cuda, architecture):
    torch.manual_seed(0)
    network = checkpoint.ready(architectures.network(architecture, plan(architecture, "tiny").network), "cuda")
    image = linear_to_srgb(scene("astronaut", 40)).astype(np.float32)
    for tile in (32, 0):
        restorer = Restorer(network, 24, tile)
        assert restorer.restore(image).shape == image.shape
        if architecture in ("nrknet", "kernel-guided"):
            blur = restorer.blur(image)
            assert blur.blur(image).shape == image.shape
    if architecture == "restormer":
        assert Restorer(with_local_statistics(network, 24), 24, tile=0).restore(image).shape == image.shape


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [(name, []) for name in ARCHITECTURES]
    + [("kernel-guided", ["recipe.again=1", "recipe.balanced=true"]), ("mpt", ["recipe.efcr=extended"])],
)
def test_networks_train(cuda, tmp_path, architecture, changes):
    pairs = open_pairs(write_pairs(tmp_path / "pairs", objects=10, size=32))
    changes = [*changes, "recipe.batch=1", "recipe.validation=1"]
    facts = train(plan(architecture, "tiny", changes, steps=1), pairs, tmp_path / "out.safetensors", "cuda").facts
    assert np.isfinite(facts["curve"][-1]["psnr"])


def test_the_true_lens_photographs_a_twin(cuda, capture):
    view = capture.test[0]
    truth = view.truth()
    there = ceiling(truth.sharp / 255, truth, capture.background)
    with patch("torch.cuda.is_available", lambda: False):
        here = ceiling(truth.sharp / 255, truth, capture.background)
    np.testing.assert_allclose(there, here, atol=1 / 255)


def test_speed_is_measured(cuda):
    assert set(perf_train._times(50, 16, "cuda", 1)) == {*perf_train.BLURS, perf_train.LENS}
    assert perf_rasterizer._time("gsplat", 50, 16, 1)[0] > 0
    assert perf_restore._measure_here("kernel-guided", 64, "cuda", 1)[0] > 0
    for operator in ("gather-gauss", "scatter-gauss", "scatter-disk"):
        assert perf_blur._measure_here(operator, "triton", 16, 2, 1)[0] > 0
    assert perf_blur._measure_here("scatter-gauss", "unfold cuda", 16, 2, 1)[0] > 0


def test_what_is_on_the_wrong_device_is_refused():
    here = torch.zeros(3, 3)
    with pretended():
        there = torch.zeros(3, 3, device="cuda")
        layer = torch.nn.Linear(3, 3).to("cuda")
        refused = [
            lambda: there + here,
            lambda: torch.cat([there, here]),
            lambda: here[torch.where(there[0] >= 0)[0]],
            lambda: layer(here),
            lambda: torch.randn(3, generator=torch.Generator(), device="cuda"),
        ]
        for operation in refused:
            with pytest.raises(RuntimeError, match="cpu"):
                operation()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert (there + 1).device.type == layer.weight.device.type == "cuda"
        assert (there.cpu() + here).sum() == 0
