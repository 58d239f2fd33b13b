"""What a contestant is: how it is declared, what it is given, and what it gives back.

This module imports neither torch nor numpy at run time, so that listing contestants stays instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np

    from datasets.cameras import Camera
    from datasets.capture import Photograph, Photographs

T = TypeVar("T")
Output = Literal["novel", "deblur", "kernel"]
Spread = Literal["gather", "scatter"]
"""How a blur moves light. gather: a pixel of the photograph averages its surroundings by its own kernel. scatter:
every sharp point spreads its light by its own kernel, as a lens does."""


class Study(NamedTuple):
    """One contestant with settings changed, row by row, as a table: an ablation.

    rows: by what a row is called, the settings that it changes, as "FAMILY.SETTING=VALUE"; none of the contestant as
        it is, which the others are compared with.
    published: the source's own numbers by row, as {"psnr": ...}; other data than ours, which `data` names.
    """

    title: str
    rows: Mapping[str, tuple[str, ...]]
    published: Mapping[str, Mapping[str, float]] = {}
    data: str = ""


class Entry(NamedTuple):
    """How a contestant is declared.

    name: as on the command line and in tables. title: one line.
    target: "module:function", a `Fit`; imported only when the contestant runs.
    first: target of the 2D restorer whose output `target` works on; it is handed to `target` as first argument.
    outputs: tracks that it has an output for: "novel" (sharp renders at new poses, so `Fitted.render`),
        "deblur" (sharp versions of the training photographs, so `Fitted.restored`), "kernel" (its model of the blur
        of a photograph, so `Fitted.kernel`).
    status: "faithful" (as its paper says), "adapted" (differences are in its docstring), "ours" or "control".
    oracle: what of the truth it is told, the sharp "twins" in place of the photographs, or the radius of every circle
        of confusion with them ("blur"); a ceiling, no competitor.
    unavailable: "module:function" that says, for a device ("cpu" or "cuda"), why the contestant cannot run here
        (a missing package, weights, a GPU), or None if it can; it is then a row with that reason.
    uses_optics: is given the known lens data; its row says so.
    configs: families of configuration files under methods/configs/, each read for the chosen preset.
    changes: settings, by family, that differ from those files, as where one method enters in two variants.
    published: the source's own numbers, as {"data": ..., "psnr": ...}; other data than ours. Those of kernel accuracy
        stand apart, as "kernel": {"data": ..., "reblur_psnr": ...}.
    studies: its ablations by name, for `bench ablate`.
    settings: families of its own, of an entry from elsewhere: "module:class" of a frozen dataclass by family, whose
        defaults are the configuration. `--set` and `studies` reach them like any other.
    """

    name: str
    title: str
    target: str
    outputs: tuple[Output, ...]
    configs: tuple[str, ...] = ()
    citation: str = "none"
    licence: str = "not stated"
    trained_on: str = "nothing"
    status: Literal["faithful", "adapted", "ours", "control"] = "ours"
    version: str = "1"
    first: str | None = None
    oracle: Literal["twins", "blur"] | None = None
    uses_optics: bool = False
    unavailable: str | None = None
    published: Mapping[str, Any] | None = None
    changes: Mapping[str, Mapping[str, Any]] = {}
    studies: Mapping[str, Study] = {}
    settings: Mapping[str, str] = {}


class Setting(NamedTuple):
    """The circumstances of one fit.

    configs: what the configuration files of the chosen preset say, by family; take it through `config`.
    preset: the budget asked for, for contestants without configuration files.
    progress: call it with (done, total, what is being done) as often as you like.
    resolved: every setting that was in force, by family; `config` notes it here, for the record.
    warn: call it with one sentence for the user and the record, where a result is to be taken with care.
    """

    seed: int
    device: Literal["cpu", "cuda"]
    configs: Mapping[str, Mapping[str, Any]]
    preset: str
    progress: Callable[[int, int, str], None]
    resolved: dict[str, Any]
    warn: Callable[[str], None] = lambda sentence: None

    def config(self, family: str, kind: type[T]) -> T:
        """The configuration of `family` as the frozen dataclass `kind`, whose defaults fill what the file leaves
        out. Raises InputError for a setting that it does not have."""
        from dataclasses import asdict

        from methods.configuration import build

        config = build(kind, self.configs[family])
        self.resolved[family] = asdict(config)  # type: ignore[call-overload]
        return config


class Cost(NamedTuple):
    """What a fit took. Training excludes start-up, compilation and evaluation; memory is the peak in MiB of
    the CUDA allocator, or of the process on CPU (`memory_of` says which)."""

    train_seconds: float
    peak_mb: float
    memory_of: Literal["cuda allocator", "process"]
    gaussians: int | None = None
    rasterizer: str | None = None


class Kernel(NamedTuple):
    """A method's model of the blur of one photograph of H x W px.

    coc: [H, W] float, radius in px of the circle of confusion, signed or not, 0 where there is no surface. Of a
        Gaussian of standard deviation sigma it is sigma / SIGMA_PER_RADIUS_LEAST_SQUARES (datasets.optics).
    blur: puts the blur of that photograph on a clean image of the same view, [H, W, 3] float sRGB 0..1 to the same.
    spread: how `blur` moves light.
    focus, aperture: distance of the focal plane and radius of the lens, mm, where the model has them.
    """

    coc: np.ndarray
    blur: Callable[[np.ndarray], np.ndarray]
    spread: Spread
    focus: float | None = None
    aperture: float | None = None


class Fitted(Protocol):
    """What a fit returns. Images are [H, W, 3] float arrays, sRGB, 0..1, of the camera's size.

    `render` is needed for the output "novel", `restored` for "deblur", `kernel` for "kernel"; declare only what
    you have.
    """

    cost: Cost

    def render(self, camera: Camera) -> np.ndarray:
        """The sharp object as seen from `camera`."""
        ...

    def restored(self, name: str) -> np.ndarray:
        """The training photograph called `name`, made sharp."""
        ...

    def kernel(self, photograph: Photograph) -> Kernel | None:
        """The blur of `photograph`: of a training photograph (known by its name) as it was learned, of any other
        as it can be estimated from the photograph itself; None where the method cannot tell that."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model into the existing `folder`."""
        ...


Fit = Callable[["Photographs", Setting], Fitted]


class Diverged(RuntimeError):
    """Training went astray; `step` says where, `what` in a clause how."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"Training diverged at step {step}: {what}.")
        self.step = step
