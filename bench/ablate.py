"""Ablations: the studies that a contestant declares, as jobs of the runner, and their tables from its records.

    OUT/VARIANT/jobs/CAPTURE/METHOD/seedN/   a run folder for each set of changed settings
    OUT/STUDY.md, OUT/STUDY.csv              a table for each study

Studies that share a set of changes, such as none, share its jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.plan import Device, Job, plan
from datasets.capture import Capture
from datasets.errors import InputError
from methods.configuration import parse_changes
from methods.contestant import Entry, Study
from methods.registry import suggestion
from reports import ablation, records


def studies_of(entry: Entry, names: Sequence[str]) -> dict[str, Study]:
    """The studies of `entry` with these names; none means all of them.

    Raises InputError if it has none, or none of that name.
    """
    if not entry.studies:
        raise InputError(f"{entry.name} declares no ablation.")
    for name in names:
        if name not in entry.studies:
            raise InputError(f"{entry.name} declares no ablation {name}; {suggestion(name, entry.studies)}")
    return {name: entry.studies[name] for name in names or entry.studies}


def folder_of(changes: Sequence[str]) -> str:
    """Name of the run folder, inside the ablation's, of a contestant with these settings changed."""
    return "+".join(changes).replace("/", "_") or "unchanged"


def jobs(
    studies: Mapping[str, Study],
    captures: Sequence[tuple[str, Capture]],
    method: tuple[str, Entry],
    seeds: Sequence[int],
    preset: str,
    device: Device,
    source_hash: str,
) -> list[Job]:
    """All jobs of the studies, each set of changes once; arguments as those of `plan`."""
    variants = {folder_of(changes): changes for study in studies.values() for changes in study.rows.values()}
    return [
        replace(job, within=folder)
        for folder, changes in variants.items()
        for job in plan(captures, [method], seeds, preset, device, source_hash, parse_changes(changes))
    ]


def variants(study: Study, folder: Path) -> list[ablation.Variant]:
    """The rows of `study` with the records that lie in the ablation's `folder`."""
    return [
        ablation.Variant(name, changes, records.find(folder / folder_of(changes)), study.published.get(name, {}))
        for name, changes in study.rows.items()
    ]


def write(studies: Mapping[str, Study], folder: Path) -> dict[str, list[ablation.Variant]]:
    """Write the tables of `studies` into `folder` from the records there; their rows by study."""
    found = {name: variants(study, folder) for name, study in studies.items()}
    for name, rows in found.items():
        records.write_atomic(folder / f"{name}.md", ablation.markdown(studies[name].title, rows, studies[name].data))
        records.write_atomic(folder / f"{name}.csv", ablation.as_csv(rows))
    return found
