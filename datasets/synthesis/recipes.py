"""What to photograph and how: capture recipes, made from presets and from YAML files.

Importing this module costs neither numpy nor Blender.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, cast, get_args, get_origin

from datasets.errors import InputError
from datasets.synthesis import model_files
from datasets.synthesis.catalogue import OBJECTS, PRESETS, known, source_hash

# Of the synthesizer: to be raised whenever the same recipe would give other pictures.
VERSION = 1

# Keys that recipes did not have from the start: at their default they are not written, so that the hash of a recipe
# that does without them stays what it was.
LATER = ("blades", "steps", "sensor", "pose_error", "test_focus", "test_f_number", "model")

# What `per_object` of a preset calls all models from files.
_MODEL = "model"

# Beyond these magnifications there is nothing to learn: below, nothing is out of focus; above, a microscope's
# diffraction, which is not simulated, would hide the defocus, and Blender's single precision the geometry.
MAGNIFICATIONS = (0.01, 100.0)


@dataclass(frozen=True)
class Rig:
    """Where the cameras stand: on a `hemisphere` (a Fibonacci lattice) or around a `turntable` (rings).

    elevation: degrees above the horizon, lowest and highest. rings: of a turntable.
    """

    kind: str
    elevation: tuple[float, float]
    rings: int = 1


@dataclass(frozen=True)
class Lens:
    """focal_length and sensor_width in mm; f_number as engraved (of the lens at infinity). blades: straight sides of
    the aperture, whose corners lie on the round one's circle; 0 is round."""

    focal_length: float
    f_number: float
    sensor_width: float
    blades: int = 0


@dataclass(frozen=True)
class Focus:
    """Where the lens is focused: `range` from the object's centre toward the camera, in object radii.

    policy `jitter` draws every view's distance uniformly from it; `stack` takes `steps` photographs from every pose,
    focused from the near end of it to the far one; `fixed` and `consistent` want both ends equal, the one as on a
    turntable, the other behind the whole object, where nothing is ever sharp: a control.
    """

    policy: str
    range: tuple[float, float]
    steps: int = 1


@dataclass(frozen=True)
class Sensor:
    """A sensor with noise: `full_well` electrons make white, each counted with Poisson's statistics, and reading them
    adds `read_noise` electrons (standard deviation)."""

    full_well: float
    read_noise: float


@dataclass(frozen=True)
class PoseError:
    """How far the poses of training photographs are off, as those from structure from motion are: standard deviations
    per axis of a turn about the camera in degrees, and of its position in object radii. Held-out poses are exact."""

    rotation: float
    position: float


@dataclass(frozen=True)
class ModelFile:
    """A model of the user's own, imported by Blender.

    file: its name; size_mm: diameter that its bounding sphere gets; texture: a name in TEXTURES;
    content: `model_files.content` of it. path: where the file lies, which is no part of the recipe.
    """

    file: str
    size_mm: float
    content: str
    texture: str = "own"
    path: Path | None = field(default=None, compare=False)


# `own`: the materials of the file; `fractal`: a seeded albedo with detail at every scale in their place.
TEXTURES = ("own", "fractal")


@dataclass(frozen=True)
class Samples:
    """Samples per pixel of the sharp and of the defocused render."""

    sharp: int
    defocused: int


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the pixels of a synthetic capture.

    object: a name in OBJECTS, or with `model` any; seed: of the object, the rig, the focus and the render noise.
    size: width and height in px. views: photographs. test_every: of every so many poses one is held out.
    field: width of the field of view over the diameter of the object's bounding sphere, which with
    `sensor_width` gives the magnification m, and with it the distance f (1 + 1 / m).
    backdrop: a name in `datasets.capture.BACKDROPS`. linear: write photographs in linear light, too.
    allow_unfocused: accept a rig in which parts of the surface are never in focus; `consistent` focus implies it.
    sensor, pose_error: imperfections, none by default. test_focus, test_f_number: of the held-out photographs, where
    they are others.

    Raises InputError in one sentence for values that make no capture.
    """

    object: str
    size: tuple[int, int]
    views: int
    rig: Rig
    lens: Lens
    field: float
    focus: Focus
    samples: Samples
    seed: int = 0
    test_every: int = 8
    backdrop: str = "black"
    linear: bool = False
    allow_unfocused: bool = False
    sensor: Sensor | None = None
    pose_error: PoseError | None = None
    test_focus: Focus | None = None
    test_f_number: float | None = None
    model: ModelFile | None = None

    def __post_init__(self) -> None:
        _check(self)

    def is_held_out(self, view: int) -> bool:
        """Whether the view of that number, from 0, is for testing: all photographs of a pose are, or none."""
        return view // self.focus.steps % self.test_every == 0

    @property
    def hash(self) -> str:
        """SHA-256 over the recipe, the synthesizer's version and the source of the object or of the importer."""
        source = source_hash(None if self.model else self.object)
        identity = {"version": VERSION, "recipe": self.as_json(), "source": source}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The recipe as plain JSON; `from_json` is the inverse."""
        document: dict[str, Any] = json.loads(json.dumps(_plain(self)))
        return document


def _plain(value: Any) -> Any:
    """A dataclass as a mapping, without what does not compare, and what is `LATER` and at its default."""
    if not is_dataclass(value):
        return value
    parts = [(part, getattr(value, part.name)) for part in fields(value) if part.compare]
    return {part.name: _plain(own) for part, own in parts if part.name not in LATER or own != part.default}


def from_json(document: Mapping[str, Any]) -> Recipe:
    """The recipe written by `Recipe.as_json`."""
    return _parse(Recipe, document, "recipe")


# ---------------------------------------------------------------- loading


def load(what: str | Path, preset: str | None = None) -> Recipe:
    """The recipe of an object (by name, at `preset`, by default `demo`) or of a YAML file (by path).

    A file holds the keys of `Recipe`, and may name a `preset:` that it changes; `per_object:` gives
    changes for some objects, and under `model` for models from files. A preset is named as in `presets`, or is such
    a file itself, sought first beside the file that names it. `model:` names a file beside it, and needs no
    `content`; the object is then called after that file. Raises InputError in one sentence for anything unknown,
    missing or wrong.
    """
    text = str(what)
    folder = Path()
    if is_file(text):
        own = _read(Path(text), "recipe")
        named = own.pop("preset", None)
        if preset is not None and named is not None and named != preset:
            raise InputError(f"The recipe {text} builds on the preset {named}, not on {preset}: name one of them.")
        where, base = text, preset
        if named is not None:
            base, folder = named, Path(text).parent
    else:
        known(text, OBJECTS, "object")
        own, where, base = {"object": text}, f"preset {preset or 'demo'}", preset or "demo"
    return _assembled([own, *_presets(base, folder)], where)


def load_model(path: Path, size_mm: float, texture: str = "own", preset: str | None = None) -> Recipe:
    """The recipe that photographs the model in the file `path`, by default at the preset `demo`. Raises InputError."""
    own = {"model": {"file": str(path), "size_mm": size_mm, "texture": texture}}
    return _assembled([own, *_presets(preset or "demo", Path())], str(path))


def _assembled(layers: list[dict[str, Any]], where: str) -> Recipe:
    """The recipe of these layers, what is said first holding."""
    name = next((layer["object"] for layer in layers if "object" in layer), None)
    imported = any(layer.get("model") is not None for layer in layers)
    if not imported:
        if not isinstance(name, str):
            raise InputError(f"{where} names no object; known are {', '.join(OBJECTS)}.")
        known(name, OBJECTS, "object")
    document: dict[str, Any] = {}
    for layer in reversed(layers):
        per_object = layer.pop("per_object", {})
        if not isinstance(per_object, dict):
            raise InputError(f"{where}: per_object must map names of objects to changes.")
        for key, changes in per_object.items():
            known(str(key), (*OBJECTS, _MODEL), "object")
            if not isinstance(changes, dict):
                raise InputError(f"{where}: per_object: {key} is {changes!r}; it must be a mapping.")
        document = _merged(document, _merged(layer, per_object.get(_MODEL if imported else name, {})))
    model = document.pop("model", None)
    if model is None:
        return _parse(Recipe, document, where)
    asked = _parse(ModelFile, {"content": "", **model} if isinstance(model, dict) else model, f"{where}: model")
    path = Path(asked.file)
    found = model_files.content(path, own=asked.texture == "own")
    if asked.content not in ("", found):
        raise InputError(f"{where}: the model {path} has changed: its content is {found}, not {asked.content}.")
    recipe = _parse(Recipe, {"object": path.stem, **document}, where)
    return replace(recipe, model=replace(asked, file=path.name, content=found, path=path))


def is_file(text: str) -> bool:
    """Whether this names a YAML file, and not an object or a preset."""
    return Path(text).suffix in (".yaml", ".yml")


def _presets(name: object, folder: Path) -> list[dict[str, Any]]:
    """What the preset `name` holds, then the preset that it builds on itself, and so on; files sought in `folder`."""
    layers: list[dict[str, Any]] = []
    seen: set[Path] = set()
    while name is not None:
        if is_file(str(name)):
            beside = folder / str(name)
            path = beside if beside.exists() else Path(str(name))
        else:
            known(str(name), [path.stem for path in sorted(PRESETS.glob("*.yaml"))], "preset")
            path = PRESETS / f"{name}.yaml"
        if path.resolve() in seen:
            raise InputError(f"The preset {path} builds on itself.")
        seen.add(path.resolve())
        layers.append(_read(path, "preset"))
        name, folder = layers[-1].pop("preset", None), path.parent
    return layers


def _read(path: Path, kind: str) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"The {kind} {path} does not exist.") from None
    except yaml.YAMLError as error:
        raise InputError(f"The {kind} {path} is not YAML ({' '.join(str(error).split())}).") from None
    except (OSError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or a date that no calendar has
        raise InputError(f"The {kind} {path} cannot be read ({error}).") from None
    if not isinstance(document, dict):
        raise InputError(f"The {kind} {path} holds no keys; a {kind} is a mapping.")
    model = document.get("model")
    if isinstance(model, dict) and isinstance(model.get("file"), str):
        document["model"] = {**model, "file": str(path.parent / model["file"])}
    return document


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, key by key where both hold mappings."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


# ---------------------------------------------------------------- types and values


def _parse(kind: Any, value: Any, where: str) -> Any:
    """`value` (plain JSON) as a `kind`. Raises InputError naming the key."""
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise InputError(f"{where} is {value!r}; it must be a mapping.")
        parts = {part.name: part for part in fields(kind) if part.compare}
        for key in value:
            known(str(key), parts, f"key in {where}:")
        for name, part in parts.items():
            if name not in value and part.default is MISSING:
                raise InputError(f"{where} lacks the key {name}.")
        made = {key: _parse(parts[key].type, value[key], f"{where}: {key}") for key in value}
        return cast(Callable[..., Any], kind)(**made)
    if get_origin(kind) is UnionType:  # "X | None"
        return None if value is None else _parse(get_args(kind)[0], value, where)
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if not isinstance(value, list | tuple) or len(value) != len(inner):
            raise InputError(f"{where} is {value!r}; it must be a list of {len(inner)} numbers.")
        return tuple(_parse(each, item, where) for each, item in zip(inner, value, strict=True))
    if kind is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    if kind in (int, bool, str) and type(value) is kind:
        return value
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    raise InputError(f"{where} is {value!r}; it must be {words[kind]}.")


def _check(recipe: Recipe) -> None:
    from datasets.capture import BACKDROPS

    rig, lens = recipe.rig, recipe.lens
    low, high = rig.elevation
    known(rig.kind, ("hemisphere", "turntable"), "rig")
    known(recipe.backdrop, BACKDROPS, "backdrop")
    positive = {
        "size": min(recipe.size),
        "lens: focal_length": lens.focal_length,
        "lens: f_number": lens.f_number,
        "field": recipe.field,
        "samples: sharp": recipe.samples.sharp,
        "samples: defocused": recipe.samples.defocused,
        "rig: rings": rig.rings,
    }
    for name, value in positive.items():
        if value <= 0:
            raise InputError(f"{name} is {value}; it must be greater than 0.")
    # Blender has no lens shorter and no sensor narrower than 1 mm.
    for name, value in (("focal_length", lens.focal_length), ("sensor_width", lens.sensor_width)):
        if value < 1:
            raise InputError(f"lens: {name} is {value} mm; it must be at least 1 mm.")
    if not 0 <= recipe.seed < 2**31:
        raise InputError(f"seed is {recipe.seed}; it must be from 0 to 2147483647.")
    _check_focus(recipe.focus, "focus", lens, recipe.field)
    poses = recipe.views // recipe.focus.steps
    if poses * recipe.focus.steps != recipe.views:
        raise InputError(
            f"views is {recipe.views}; it must be a multiple of the {recipe.focus.steps} steps of a stack."
        )
    if recipe.test_every < 2 or poses < recipe.test_every:
        raise InputError(
            f"{poses} {'views' if recipe.focus.steps == 1 else 'poses'} with every {recipe.test_every}th held out are "
            "too few for a test split: they must be at least test_every, and that at least 2."
        )
    if not -90 <= low <= high <= 90:
        raise InputError(f"rig: elevation is {list(rig.elevation)}; it must be lowest, highest within -90..90.")
    if rig.kind == "hemisphere" and rig.rings != 1:
        raise InputError("rig: rings belong to a turntable; a hemisphere has none.")
    if rig.rings > poses:
        raise InputError(f"rig: {rig.rings} rings are more than the {poses} views on them.")
    if recipe.test_focus is not None:
        _check_focus(recipe.test_focus, "test_focus", lens, recipe.field)
        if recipe.test_focus.policy == "stack":
            raise InputError("test_focus: policy is stack; the held-out photographs are stacks where focus is a stack.")
    if recipe.test_f_number is not None and recipe.test_f_number <= 0:
        raise InputError(f"test_f_number is {recipe.test_f_number}; it must be greater than 0.")
    if lens.blades and not 3 <= lens.blades <= 64:
        raise InputError(f"lens: blades is {lens.blades}; it must be from 3 to 64, or 0 for a round aperture.")
    if recipe.sensor is not None and (recipe.sensor.full_well <= 0 or recipe.sensor.read_noise < 0):
        raise InputError(
            f"sensor: {recipe.sensor.full_well} electrons at white, read with {recipe.sensor.read_noise}: the first "
            "must be greater than 0, the second at least 0."
        )
    if recipe.model is not None:
        _check_model(recipe.model, lens.sensor_width / recipe.field)
    if recipe.pose_error is not None and min(recipe.pose_error.rotation, recipe.pose_error.position) < 0:
        raise InputError("pose_error: rotation and position are standard deviations; they must be at least 0.")


def _check_model(model: ModelFile, width: float) -> None:
    """`width`: of the object that would fill the sensor at life size, mm."""
    known(model.texture, TEXTURES, "texture")
    if model.size_mm <= 0:
        raise InputError(f"model: size_mm is {model.size_mm}; it must be greater than 0.")
    smallest, largest = width / MAGNIFICATIONS[1], width / MAGNIFICATIONS[0]
    if not smallest <= model.size_mm <= largest:
        raise InputError(
            f"A model of {model.size_mm:g} mm makes no macro photograph with this lens: its size must be from "
            f"{smallest:.2g} to {largest:.4g} mm, where the magnification is from {MAGNIFICATIONS[1]:g} to "
            f"{MAGNIFICATIONS[0]:g}."
        )


def _check_focus(focus: Focus, key: str, lens: Lens, width: float) -> None:
    near, far = focus.range
    known(focus.policy, ("fixed", "jitter", "consistent", "stack"), "focus policy")
    if (focus.steps < 2) if focus.policy == "stack" else (focus.steps != 1):
        raise InputError(
            f"{key}: steps is {focus.steps}; it must be at least 2 where policy is stack, and belongs to no other."
        )
    if near > far or (focus.policy in ("fixed", "consistent") and near != far):
        raise InputError(
            f"{key}: range is {list(focus.range)}; it must be lowest, highest, and both equal where {focus.policy}."
        )
    if focus.policy == "consistent" and far >= -1:
        raise InputError(
            f"{key}: range is {list(focus.range)}; consistent focus lies behind the whole object: take less than -1."
        )
    # d0 - f = R (2 f field / sensor_width - offset), whatever the object's radius R.
    reach = 2 * lens.focal_length * width / lens.sensor_width
    if far >= reach:
        raise InputError(
            f"{key}: a focal plane {far} radii before the object's centre lies within the focal length of "
            f"{lens.focal_length} mm, where no real image forms: stay below {reach:.3g}."
        )
