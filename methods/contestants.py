"""The table of contestants: those of this package, and those that other packages or files bring.

Another package brings its own through the entry-point group "bench.methods", each entry point naming an
`Entry` (or a list of them); a single file does with `ENTRY = Entry(...)`, named by its path.
"""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from datasets.errors import InputError
from methods import configuration
from methods.contestant import Entry, Fit, Output
from methods.joint.studies import STUDIES as JOINT_STUDIES
from methods.joint_optics.studies import STUDIES as JOINT_OPTICS_STUDIES
from methods.registry import Registry, load
from methods.restoration import checkpoint
from methods.restoration.architectures import ARCHITECTURES, RELEASES
from methods.restoration.checkpoint import SUFFIX

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "bench.methods"

_SEED_DATA = "seed paper, Table 1, average of 8"
_TLC = "Chu et al., Improving Image Restoration by Revisiting Global Information Aggregation, ECCV 2022"
_KERBL = "Kerbl et al., 3D Gaussian Splatting for Real-Time Radiance Field Rendering, SIGGRAPH 2023"
_RICHARDSON = (
    "Richardson 1972; Lucy 1974; defocus map of Zhuo and Sim, Defocus map estimation from a single image, "
    "Pattern Recognition 2011"
)

_SPLATTING = Entry(
    name="3dgs",
    title="3D Gaussian Splatting on the photographs as they are: the floor of the 3D field",
    target="methods.three_dgs:fit",
    outputs=("novel", "deblur"),
    configs=("3dgs",),
    citation=_KERBL,
    licence="own implementation",
    trained_on="the photographs of the capture",
    status="adapted",
    version="1",
    published={"data": _SEED_DATA, "psnr": 31.11, "ssim": 0.909, "lpips": 0.113},
)

_JOINT = Entry(
    name="joint",
    title="Joint deblurring and reconstruction: Gaussians and BlurNet, which blurs every pixel in sRGB, as printed",
    target="methods.joint.method:fit",
    outputs=("novel", "deblur", "kernel"),
    configs=("3dgs", "joint"),
    citation=(
        "Zhao et al., Joint Deblurring and 3D Reconstruction for Macrophotography, Computer Graphics Forum 44(7), "
        "2025, arXiv:2510.01640"
    ),
    licence="own implementation",
    trained_on="the photographs of the capture",
    status="faithful",
    version="1",
    published={
        "data": _SEED_DATA,
        "psnr": 32.50,
        "ssim": 0.934,
        "lpips": 0.077,
        "kernel": {
            "data": "seed paper, Table 2, average of 4",
            "identity_psnr": 37.24,
            "reblur_psnr": 42.58,
            "identity_ssim": 0.962,
            "reblur_ssim": 0.989,
            "identity_lpips": 0.067,
            "reblur_lpips": 0.028,
        },
    },
    studies=JOINT_STUDIES,
)

_JOINT_LINEAR = _JOINT._replace(
    name="joint-linear",
    title="Joint deblurring and reconstruction: Gaussians and BlurNet, held and blurred in linear light",
    status="adapted",
    published=None,
    changes={"3dgs": {"light": "linear"}},
)

_JOINT_OPTICS = Entry(
    name="joint-optics",
    title="Gaussians and a thin lens: one aperture and every view's focus distance, from the photographs alone",
    target="methods.joint_optics.method:fit",
    outputs=("novel", "deblur", "kernel"),
    configs=("3dgs", "joint-optics"),
    citation="this benchmark",
    licence="own implementation",
    trained_on="the photographs of the capture",
    status="ours",
    version="3",
    changes={"3dgs": {"light": "linear", "dilation": 0.1}},
    studies=JOINT_OPTICS_STUDIES,
)

_JOINT_OPTICS_KNOWN = _JOINT_OPTICS._replace(
    name="joint-optics-known",
    title="The same, begun from the capture's own lens data (focal length, f-number, focus distances)",
    uses_optics=True,
    studies={},
)

_RESTORERS = [
    Entry(
        name="input",
        title="The photographs themselves: the floor of the deblurring track",
        target="methods.restoration.restorers:photographs_as_they_are",
        outputs=("deblur",),
        configs=(),
        citation="none",
        licence="own implementation",
        trained_on="nothing",
        status="control",
        version="1",
    ),
    Entry(
        name="rl",
        title="Richardson-Lucy in linear light with a defocus map estimated from each photograph",
        target="methods.restoration.restorers:richardson_lucy",
        outputs=("deblur", "kernel"),
        configs=("rl",),
        citation=_RICHARDSON,
        licence="own implementation",
        trained_on="nothing",
        status="adapted",
        version="1",
    ),
    Entry(
        name="rl-oracle",
        title="Richardson-Lucy with the true blur of every pixel: what is lost by not knowing it",
        target="methods.restoration.restorers:richardson_lucy_told",
        outputs=("deblur",),
        configs=("rl", "told"),
        citation=_RICHARDSON,
        licence="own implementation",
        trained_on="nothing",
        status="control",
        oracle="blur",
    ),
]

_MACRO_PAIRS = "synthetic macro pairs"


def learned(name: str, title: str, weights: str, architecture: str, **more: Any) -> Entry:
    """A restorer that is a network, one of `ARCHITECTURES`, with `weights` as in `methods.restoration.references`.

    `more` are fields of the entry, and under `changes` settings of its configuration that are not the usual ones.
    """
    models_blur = architecture in ("kernel-guided", "nrknet")
    fields = {
        "outputs": ("deblur", "kernel") if models_blur else ("deblur",),
        "citation": ARCHITECTURES[architecture].citation,
        "licence": "own implementation",
        **more,
        "changes": {"learned": {"weights": weights, **more.get("changes", {})}},
    }
    return Entry(name, title, "methods.restoration.learned:fit", configs=("learned",), **fields)


_DPDD = {
    "mpt": {"psnr": 26.21, "ssim": 0.826, "lpips": 0.175},
    "mpt-efcr": {"psnr": 26.23, "ssim": 0.829, "lpips": 0.172},
    "mpt-efcr-ex": {"psnr": 26.27, "ssim": 0.831, "lpips": 0.161},
    "restormer": {"psnr": 25.98, "ssim": 0.811, "lpips": 0.178},
    "nrknet": {"psnr": 26.11, "ssim": 0.810, "lpips": 0.210},
}
"""What the released weights give on what they were trained for: Zhang et al., CVPR 2024, Table 2."""


def _released(name: str, title: str, slot: str | None = None, **more: Any) -> Entry:
    """A restorer with the weights that its authors published, kept by `bench weights` as `slot`, by default `name`."""
    release = RELEASES[slot or name]
    known = _DPDD.get(name)
    fields = {"status": "faithful", "trained_on": release.trained_on, **more}
    fields["published"] = known and {"data": "DPDD, single photographs of 1680 x 1120 px", **known}
    return learned(name, title, f"released:{slot or name}", release.architecture, **fields)


_WHOLE = {"seen": "whole"}

_LEARNED = [
    learned(
        "kernel-guided",
        "A kernel for every tile of a photograph, and a U-Net that is guided by it",
        "shipped:kernel-guided",
        "kernel-guided",
        status="adapted",
        trained_on=_MACRO_PAIRS,
    ),
    learned(
        "mpt-s",
        "Multi-pyramid transformer of reduced width",
        "shipped:mpt-s",
        "mpt",
        status="adapted",
        trained_on=_MACRO_PAIRS,
    ),
    _released("mpt", "Multi-pyramid transformer"),
    _released("mpt-efcr", "Multi-pyramid transformer, trained with frequency contrastive regularisation"),
    _released("mpt-efcr-ex", "Multi-pyramid transformer, trained with that regularisation and extra data"),
    _released("restormer", "Restormer", changes=_WHOLE),
    _released(
        "restormer-tlc",
        "Restormer with local statistics at test time",
        "restormer",
        status="adapted",
        citation=f"{ARCHITECTURES['restormer'].citation}; {_TLC}",
        changes=_WHOLE | {"local_statistics": True},
    ),
    _released("nrknet", "Neumann network with recursive kernels", changes=_WHOLE),
    _released("iniknet", "Implicit neural inverse kernels", changes=_WHOLE),
]

_SEED_TABLE = {
    "restormer": {"psnr": 31.86, "ssim": 0.923, "lpips": 0.094},
    # Its row is called INIKNet, and cites NRKNet's paper.
    "iniknet": {"psnr": 32.13, "ssim": 0.923, "lpips": 0.096},
}
"""What the seed paper has of restorers followed by 3DGS: Table 1, average of 8 objects."""


def then_splatting(restorer: Entry) -> Entry:
    """The second entry of a 2D restorer: restore every photograph, then splat."""
    return restorer._replace(
        name=f"{restorer.name}+3dgs",
        title=f"{restorer.title}; then 3D Gaussian Splatting",
        target="methods.restoration.then_splatting:fit",
        first=restorer.target,
        outputs=("novel", "deblur"),
        configs=(*restorer.configs, *_SPLATTING.configs),
        citation=f"{restorer.citation}; {_KERBL}",
        trained_on=f"restorer: {restorer.trained_on}; splats: the restored photographs of the capture",
        published=_SEED_TABLE.get(restorer.name) and {"data": _SEED_DATA, **_SEED_TABLE[restorer.name]},
    )


def _enters_twice(entry: Entry) -> bool:
    return "deblur" in entry.outputs and "novel" not in entry.outputs and entry.status != "control"


def builtin() -> list[Entry]:
    """Contestants of this package, controls last."""
    restorers = [entry for entry in [*_RESTORERS, *_LEARNED] if _enters_twice(entry)]
    controls = [entry for entry in _RESTORERS if not _enters_twice(entry)]
    oracle = _SPLATTING._replace(
        name="sharp-3dgs",
        title="3D Gaussian Splatting on the sharp twins: the ceiling",
        trained_on="the sharp twins of the photographs",
        status="control",
        oracle="twins",
        published=None,
    )
    return [
        _SPLATTING,
        _JOINT,
        _JOINT_LINEAR,
        _JOINT_OPTICS,
        _JOINT_OPTICS_KNOWN,
        *(entry for restorer in restorers for entry in (restorer, then_splatting(restorer))),
        *controls,
        oracle,
    ]


def registry() -> Registry[Entry]:
    """All contestants known here: this package's and those of installed packages."""
    found = Registry("method", builtin())
    for point in _entry_points():
        brought = point.load()
        for entry in brought if isinstance(brought, list) else [brought]:
            admitted = admit(entry)
            found.add(admitted)
            if _enters_twice(admitted):
                found.add(then_splatting(admitted))
    return found


def _entry_points() -> list[EntryPoint]:
    """Entry points of our group in installed packages.

    importlib.metadata takes longer to import than `bench list` may take, so the files that could name the group
    are searched for its name first.
    """
    header = f"[{ENTRY_POINT_GROUP}]".encode()
    for folder in filter(os.path.isdir, sys.path):
        for name in os.listdir(folder):
            path = os.path.join(folder, name, "entry_points.txt")
            if name.endswith((".dist-info", ".egg-info")) and os.path.exists(path):
                with open(path, "rb") as file:
                    if header in file.read():
                        from importlib.metadata import entry_points

                        return list(entry_points(group=ENTRY_POINT_GROUP))
    return []


def from_file(path: Path) -> Entry:
    """The contestant that the Python file at `path` declares as ENTRY.

    Raises InputError if the file is missing, does not import, or declares none.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path} that could declare a method.")
    name = f"bench_method_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file.")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"The method file {path} does not import: {type(error).__name__}: {error}") from error
    entry = getattr(module, "ENTRY", None)
    if not isinstance(entry, Entry):
        raise InputError(f"The method file {path} declares no ENTRY = Entry(...).")
    here = {family: kind.replace("__file__", name) for family, kind in entry.settings.items()}
    if entry.name in [known.name for known in builtin()]:
        raise InputError(f"The method file {path} calls its method {entry.name}, which is one of this package's.")
    entry = admit(entry._replace(target=entry.target.replace("__file__", name), settings=here))
    for family in entry.settings:
        configuration.kind_of(family)  # a mistake is named before anything runs
    return entry


def admit(entry: Entry) -> Entry:
    """An entry from elsewhere, its own settings among its `configs`. Raises InputError if it is not as it must be."""
    check(entry)
    for family, kind in entry.settings.items():
        configuration.add(family, kind)
    return entry._replace(configs=(*entry.configs, *entry.settings))


def check(entry: Entry) -> None:
    """Raise InputError, in one sentence, if an entry from elsewhere does not say what an entry must."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", str(entry.name)):
        raise InputError(f"A method is called {entry.name!r}; a name has letters, digits and _ . + - only.")
    tracks, states = get_args(Output), ("faithful", "adapted", "ours", "control")
    if not isinstance(entry.outputs, tuple) or not entry.outputs or not set(entry.outputs) <= set(tracks):
        raise InputError(f"The outputs of {entry.name} are {entry.outputs!r}; they must be a tuple of {tracks}.")
    if entry.status not in states:
        raise InputError(f"The status of {entry.name} is {entry.status!r}; it must be one of {', '.join(states)}.")
    if wrong := [family for family in entry.settings if not re.fullmatch(r"[A-Za-z0-9_-]+", family)]:
        raise InputError(f"The settings of {entry.name} are called {wrong[0]!r}; a name has letters, digits, _ and -.")
    if entry.oracle not in (None, "twins", "blur"):
        raise InputError(f"The oracle of {entry.name} is {entry.oracle!r}; it must be twins or blur, or None.")


def find(name_or_path: str) -> Entry:
    """The contestant of that name, or the one that the named file is: a Python file that declares one, or a checkpoint
    of `bench train` ("FILE.py+3dgs", "FILE.safetensors+3dgs" too).

    Raises InputError, with the nearest name, if there is none.
    """
    path = name_or_path.removesuffix("+3dgs")
    if path.endswith(".py"):
        entry = from_file(Path(path))
    elif path.endswith(SUFFIX):
        entry = from_checkpoint(Path(path))
    else:
        return registry().get(name_or_path)
    return entry if path == name_or_path else then_splatting(entry)


def from_checkpoint(path: Path) -> Entry:
    """The contestant that the checkpoint at `path` is, called as the file. Raises InputError if it is none."""
    facts = checkpoint.facts(path)
    entry = learned(
        path.stem,
        f"{facts['architecture']}, trained with `bench train`",
        str(path.resolve()),
        facts["architecture"],
        status="adapted",
        trained_on=facts["trained_on"],
    )
    check(entry)
    return entry


def fit_of(entry: Entry) -> Fit:
    """Import the function that fits `entry`."""
    fit = load(entry.target)
    return partial(fit, load(entry.first)) if entry.first else fit
