"""The record of one job: what ran, on what, with what, and every number that came of it.

One JSON file per (capture, method, seed). A failure is a record too. Leaderboards are pure functions of
records, so a record holds everything that a table shows. The string under a field is its documentation, and
its description in `json_schema()`.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

Track = Literal["novel", "deblur", "kernel", "kernel-test", "kernel-paper", "kernel-own"]
"""novel: sharp renders, held-out poses. deblur: sharp outputs, training poses. kernel: sharp twins of the training
photographs under the method's blur. kernel-test: the same at held-out poses. kernel-paper: renders of splats trained
on the sharp twins under the method's blur, held-out poses (seed paper, section 4.3.1). kernel-own: the method's own
renders under its own blur, held-out poses of captures without sharp twins."""

Status = Literal["ok", "failed", "skipped"]


class RecordError(ValueError):
    """A record that cannot be read, with one sentence that names the file and the field."""


def round_significant(value: float) -> float:
    """`value` to six significant digits, which is far finer than any table shows."""
    return float(f"{value:.6g}") + 0.0  # + 0.0 turns -0.0 into 0.0


def _json_object(value: Any) -> Any:
    """`value` as JSON gives it back (tuples become lists), so that a record survives a round trip."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not plain JSON ({error})") from error


def rounded(value: float | None) -> float | None:
    """`round_significant` of a number that may be missing."""
    return None if value is None else round_significant(value)


Number = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(round_significant)]
Amount = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0), AfterValidator(round_significant)]
Count = Annotated[int, Field(strict=True, ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
Name = Annotated[str, Field(min_length=1)]
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]*$")]
JsonObject = Annotated[dict[str, Any], BeforeValidator(_json_object)]


class Part(BaseModel):
    """A part of a record: frozen, no unknown field, descriptions taken from the strings under the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Identity(Part):
    id: Hex
    """Hash of `parts`: two jobs with the same id would give the same numbers, so the second is never run."""
    parts: JsonObject
    """What was hashed: capture hash, method and version, resolved config, seed, device kind, source hash."""


class Difficulty(Part):
    """The block "difficulty" of the capture's manifest, name for name."""

    psnr_photograph_sharp: Number | None = None
    """PSNR of the photographs against their sharp twins, dB, mean over views: the lower, the more blur."""
    psnr_photograph_sharp_on_object: Number | None = None
    """The same over the object's pixels."""
    noise_floor_on_object: Number | None = None
    """PSNR on the object that the noise of the photographs alone allows, dB."""
    coc_radius_px: dict[str, Amount] = {}
    """Quantiles of the |CoC| radius over the object's pixels, px, by name: median, q90, max."""
    object_share_of_pixels: Amount | None = None


class Capture(Part):
    name: Name
    content_hash: Hex
    """Over the content of every file of the capture."""
    difficulty: Difficulty | None = None
    """None where the capture has no ground truth."""
    unfocused_px: Amount | None = None
    """99th percentile, over the object's surface, of the least CoC radius that a point has in any training view, px."""
    optics: JsonObject | None = None
    """Summary of the lens: f_mm, f_number, focus distances; None where unknown."""
    views_train: Count
    views_test: Count


class Method(Part):
    name: Name
    title: str
    """As people read it."""
    version: str
    """Changes whenever the method's numbers may."""
    status: Literal["faithful", "adapted", "ours", "control"]
    """faithful: as its authors describe it. adapted: changed, the docs say how. control: a reference line."""
    oracle: bool
    """Sees ground truth that no photographer has."""
    citation: str
    licence: str
    """Of the reference code."""
    trained_on: str
    """The data its weights come from; "nothing" for a method that only fits the capture."""
    outputs: tuple[str, ...]
    config: JsonObject
    """Every setting, resolved."""
    config_hash: Hex
    preset: str
    """Of an ablation: "PRESET with FAMILY.SETTING=VALUE, ..."."""
    weights: dict[str, Sha256] = {}
    """SHA-256 of each pretrained file by name."""
    uses_optics: bool
    """Reads the capture's known lens data (focal length, f-number, focus distance)."""
    published: JsonObject | None = None
    """The paper's own numbers, on the paper's own data."""

    @property
    def changed(self) -> str:
        """Settings that differ from the preset's, as "FAMILY.SETTING=VALUE, ..."; empty but for ablations."""
        return self.preset.partition(" with ")[2]


class Environment(Part):
    packages: dict[str, str]
    """Version of each package that can change a number."""
    python: str
    git_sha: str | None = None
    git_dirty: bool | None = None
    cpu: str
    gpu: str | None = None
    driver: str | None = None
    threads: Count
    """Threads the job was allowed."""
    device: Literal["cpu", "cuda"]
    rasterizer: str | None = None
    """The back end that rendered; None for a method without one."""


class Memory(Part):
    peak_mb: Amount
    """Peak, MiB."""
    of: Literal["process", "cuda allocator"]
    """The two cannot be compared: a process counts its libraries, the allocator only tensors."""


class Blur(Part):
    """A method's model of the blur."""

    spread: Literal["gather", "scatter"]
    """gather: each pixel averages its surroundings. scatter: each sharp point spreads its light, as a lens does."""
    clean_job: Sha256 | None = None
    """Identity of the job whose renders are the clean images of the track kernel-paper."""


class Value(Part):
    track: Track
    view: Name
    metric: Name
    value: Number


class Aggregate(Part):
    track: Track
    metric: Name
    mean: Number
    """Over views."""
    low: Number | None
    """Lower end of the 95 % bootstrap interval over views; None where one view leaves the spread unknown."""
    high: Number | None
    """Upper end of it."""
    n: Annotated[int, Field(strict=True, ge=1)]
    """Views."""


class MetricVersion(Part):
    version: str
    weights_sha256: Sha256 | None = None
    """Of the tensors of the network that the metric needs, if any."""


class Failure(Part):
    """What went wrong. In JSON the first field is called "class"."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    kind: Annotated[Name, Field(alias="class")]
    """Class of the error, as "OutOfMemory", "Diverged", "MissingWeights"."""
    reason: Line
    """One line for a person."""
    step: Count | None = None
    """The training step it happened at."""


def _by_place(values: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple(sorted(values, key=lambda value: (value.track, value.metric, value.view)))


def _by_metric(aggregates: tuple[Aggregate, ...]) -> tuple[Aggregate, ...]:
    return tuple(sorted(aggregates, key=lambda aggregate: (aggregate.track, aggregate.metric)))


class Record(Part):
    """One job. `load` and `save` are its only way from and to disk."""

    schema_version: Literal[1] = 1
    """Changes with the meaning of any field."""
    identity: Identity
    capture: Capture
    method: Method
    environment: Environment
    command: tuple[str, ...]
    """The command line that repeats this job."""
    seed: Annotated[int, Field(strict=True)]
    times: dict[str, Amount] | None = None
    """Seconds by stage: `train_s` (device-synchronised; no evaluation, start-up or JIT), `total_s`, ..."""
    memory: Memory | None = None
    gaussians: Count | None = None
    """Gaussians of the fitted scene; None for a method without them."""
    model_bytes: Count | None = None
    render_fps: Amount | None = None
    blur: Blur | None = None
    """None for a method without a model of the blur."""
    values: Annotated[tuple[Value, ...], AfterValidator(_by_place)] = ()
    """Every metric on every view: what all tables are made from."""
    aggregates: Annotated[tuple[Aggregate, ...], AfterValidator(_by_metric)] = ()
    """Means over views, for people who read the file; `reports.statistics.aggregates(values)` makes them."""
    unavailable: dict[str, Line] = {}
    """Why a number is absent. The key is a metric ("lpips"), a track ("novel") or both ("deblur.lpips")."""
    metrics: dict[str, MetricVersion] = {}
    """The metrics that were computed, by name."""
    warnings: tuple[Line, ...] = ()
    """Sentences of the method about its own result, as that it did not find what it sought."""
    files: dict[str, Sha256] = {}
    """SHA-256 of each file the job left, by path relative to the record."""
    status: Status
    """ok: made and scored. failed: tried, and something broke. skipped: cannot run here, was not tried."""
    error: Failure | None = None
    """Present exactly where status is not ok."""

    @model_validator(mode="after")
    def _consistent(self) -> Record:
        if (self.status == "ok") != (self.error is None):
            raise ValueError("error: must be given exactly where status is failed or skipped")
        places = [(value.track, value.view, value.metric) for value in self.values]
        if len(set(places)) != len(places):
            twice = next(place for place in places if places.count(place) > 1)
            raise ValueError(f"values: {' / '.join(twice)} is given twice")
        return self


def dumps(record: Record) -> str:
    """The JSON text of a record: sorted keys, a newline at the end; equal records give equal bytes."""
    plain = record.model_dump(mode="json", by_alias=True)
    return json.dumps(plain, sort_keys=True, indent=2, allow_nan=False) + "\n"


def save(record: Record, path: Path) -> None:
    """Write a record so that a reader finds the old file or the new one, never a part of it.

    Raises OSError where the disk refuses; the temporary file is removed then.
    """
    write_atomic(path, dumps(record))


def write_atomic(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to a temporary file beside `path`, flush it to disk, and rename it into place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: Path) -> Record:
    """Read and validate a record. Raises RecordError with one sentence that names the file and the field."""
    path = Path(path)
    try:
        plain = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: not valid JSON ({error})") from error
    try:
        return Record.model_validate(plain)
    except ValidationError as error:
        raise RecordError(f"{path}: {_first_sentence(error)}") from error


def _first_sentence(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    field = ".".join(str(part) for part in problems[0]["loc"])
    message = problems[0]["msg"].removeprefix("Value error, ")
    others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return (f"{field}: " if field else "") + message + others


def find(folder: Path) -> list[Record]:
    """Every record below a run's folder (`**/record.json`), in the order of their paths.

    A folder without any `record.json` is taken as a flat collection of records (`*.json`). Hidden folders
    (a name that begins with a dot) are passed over: a runner may keep there what is not finished. Raises
    RecordError at the first bad record, or where the folder is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RecordError(f"{folder}: no such folder of records")
    paths = [path for path in folder.glob("**/record.json") if not _hidden(path.relative_to(folder))]
    paths = paths or [path for path in folder.glob("*.json") if not _hidden(path.relative_to(folder))]
    return [load(path) for path in sorted(paths, key=lambda path: path.relative_to(folder).as_posix())]


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a record, with the description of every field."""
    return Record.model_json_schema()
