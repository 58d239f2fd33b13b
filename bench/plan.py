"""The plan of a run: captures x methods x seeds as independent jobs, each with an identity.

A pure function of what was asked for. The identity is a hash over everything that the numbers depend on:
capture, method and version, resolved configuration, seed, kind of device, source.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datasets.capture import Capture
from datasets.errors import InputError
from methods import configuration
from methods.contestant import Entry
from methods.registry import load
from methods.restoration import references

Device = Literal["cpu", "cuda"]
Protocol = Literal["standard", "paper"]

CLEAN_SOURCE = "sharp-3dgs"
"""The contestant whose renders of the held-out views stand for clean images under the protocol "paper"."""


def job_folder(capture: str, method: str, seed: int) -> Path:
    """Where the files of a job lie, relative to its run."""
    return Path("jobs", capture, method, f"seed{seed}")


@dataclass(frozen=True)
class Job:
    """One contestant on one capture with one seed.

    capture_argument and method_argument: as on the command line, so that another process finds them again.
    changed: settings that differ from the preset's, as "FAMILY.SETTING=VALUE".
    parts: what `id` is the hash of. skip: why this job cannot run here, None if it can.
    clean: the job whose renders this one is to re-blur, so which must be finished first; None without one.
    within: folder of the run that keeps it apart from jobs of the same capture, method and seed; "" for the run's own.
    """

    capture_name: str
    capture_argument: str
    method_argument: str
    entry: Entry
    seed: int
    preset: str
    changed: tuple[str, ...]
    device: Device
    configs: dict[str, dict[str, Any]]
    parts: dict[str, Any]
    skip: str | None = None
    clean: "Job | None" = None
    within: str = ""

    @property
    def id(self) -> str:
        return hashlib.sha256(json.dumps(self.parts, sort_keys=True).encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Where its files lie, relative to the run."""
        return Path(self.within) / job_folder(self.capture_name, self.entry.name, self.seed)

    @property
    def command(self) -> list[str]:
        """The command line that repeats this job alone, and the one whose renders it needs."""
        changed = dict.fromkeys((*self.changed, *(self.clean.changed if self.clean else ())))
        return [
            *("bench", "run", self.capture_argument, "--methods", self.method_argument),
            *("--preset", self.preset, "--seeds", str(self.seed), "--device", self.device),
            *(word for text in changed for word in ("--set", text)),
            *(("--protocol", "paper") if self.clean else ()),
        ]


def plan(
    captures: Sequence[tuple[str, Capture]],
    methods: Sequence[tuple[str, Entry]],
    seeds: Sequence[int],
    preset: str,
    device: Device,
    source_hash: str,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    protocol: Protocol = "standard",
) -> list[Job]:
    """All jobs of a run, captures outermost; `captures` and `methods` come with their command-line argument.

    `changes` to the preset's settings, by family, are for ablations; a job's record tells of them. Under the
    protocol "paper", models of the blur are tried on the renders of `CLEAN_SOURCE` as well (seed paper, section
    4.3.1), whose jobs then come first.

    Raises InputError for an unknown preset, for two captures or methods of one name, or for a repeated seed.
    """
    for kind, names in (
        ("captures", [capture.name for _, capture in captures]),
        ("methods", [entry.name for _, entry in methods]),
        ("seeds", [str(seed) for seed in seeds]),
    ):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"Two of the {kind} are called {twice[0]}; their results could not be told apart.")
    families = {family for _, entry in methods for family in entry.configs}
    if idle := sorted(set(changes or {}) - families):
        raise InputError(f"--set changes {idle[0]}, which none of the chosen methods uses.")
    if protocol == "paper":
        methods = sorted(methods, key=lambda method: method[1].name != CLEAN_SOURCE)
    jobs = []
    for capture_argument, capture in captures:
        clean_jobs: dict[int, Job] = {}
        for method_argument, entry in methods:
            reblurs = protocol == "paper" and "kernel" in entry.outputs and capture.has_truth
            configs = configuration.resolve(entry.configs, preset, entry.changes)
            own = {family: dict(new) for family, new in (changes or {}).items() if family in configs}
            for family, new in own.items():
                configs[family] |= new
                configuration.check(family, configs[family])
            settings = [f"{family}.{key}={value}" for family, new in own.items() for key, value in new.items()]
            weights = {name: references.digest(name) for name in references.named_in(configs)}
            skip = _reason_to_skip(capture, entry, device, configs)
            for seed in seeds:
                parts = {
                    "capture": capture.content_hash,
                    "method": entry.name,
                    "version": entry.version,
                    "config": configs,
                    "seed": seed,
                    "device": device,
                    "source": source_hash,
                }
                if weights:
                    parts["weights"] = weights
                if method_argument != entry.name:
                    file = Path(method_argument.removesuffix("+3dgs"))
                    parts["file"] = hashlib.sha256(file.read_bytes()).hexdigest()
                clean = clean_jobs[seed] if reblurs else None
                if clean:
                    parts["clean"] = clean.id
                job = Job(
                    capture.name,
                    capture_argument,
                    method_argument,
                    entry,
                    seed,
                    preset,
                    tuple(settings),
                    device,
                    configs,
                    parts,
                    skip,
                    clean,
                )
                if entry.name == CLEAN_SOURCE:
                    clean_jobs[seed] = job
                jobs.append(job)
    return jobs


def _reason_to_skip(
    capture: Capture, entry: Entry, device: Device, configs: Mapping[str, Mapping[str, Any]]
) -> str | None:
    if entry.oracle and not capture.has_truth:
        return "it is told the truth, sharp twins or their blur, and the capture has none"
    if entry.oracle == "blur" and capture.train[0].truth().coc is None:
        return "it is told the true blur, which the capture does not have"
    for weights in references.named_in(configs):
        if missing := references.why_missing(weights):
            return missing
    reason: str | None = load(entry.unavailable)(device) if entry.unavailable else None
    return reason
