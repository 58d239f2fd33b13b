"""The tables of README and docs, made from committed records. `python tests/published_tables.py` writes them anew."""

import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from bench.perf import BENCHMARKS, rasterizer
from datasets.synthesis import catalogue
from methods import configuration, contestants
from methods.restoration import checkpoint
from methods.splatting.config import DILATION
from reports import ablation, leaderboard, records

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "reports" / "published"


def tables() -> dict[tuple[str, str], str]:
    """Markdown by (file, name of the table in it)."""
    demo, macro8 = records.find(PUBLISHED / "demo"), records.find(PUBLISHED / "macro8")
    objects, images = demo + records.find(PUBLISHED / "objects"), demo + records.find(PUBLISHED / "restored")
    return {
        ("README.md", "demo"): leaderboard.brief(demo),
        ("docs/captures.md", "without-truth"): without_truth(),
        ("README.md", "macro8"): leaderboard.brief(macro8),
        ("docs/measurements.md", "chair"): leaderboard.brief(records.find(PUBLISHED / "chair")),
        ("docs/measurements.md", "densification"): densification(),
        ("docs/measurements.md", "paper"): thirty_thousand_steps(),
        ("docs/measurements.md", "rasterizer"): speed(),
        ("docs/measurements.md", "blur"): measured("blur"),
        ("docs/measurements.md", "train"): measured("train"),
        ("docs/measurements.md", "restore"): measured("restore"),
        ("docs/measurements.md", "synth"): measured("synth"),
        ("docs/measurements.md", "macro8"): novel_views(
            macro8, suite(), ("3dgs", "rl+3dgs", "kernel-guided+3dgs", *JOINT, "sharp-3dgs")
        ),
        ("docs/measurements.md", "macro8-kernels"): kernels(macro8, suite(), ("joint-optics",)),
        ("docs/restorers.md", "restorers-deblur"): restored(images),
        ("docs/restorers.md", "restorers-novel"): splatted(images),
        ("docs/restorers.md", "restorers-kernels"): kernels(images, RESTORED, ("rl", "kernel-guided")),
        ("docs/restorers.md", "restorers-told"): told(demo),
        ("docs/restorers.md", "restorers-trained"): trained(),
        ("docs/restorers.md", "restorers-ablation"): ablated_trainings(),
        ("docs/joint.md", "joint-objects"): novel_views(objects, OBJECTS, ("3dgs", *JOINT, "sharp-3dgs")),
        ("docs/joint.md", "joint-kernels"): kernels(objects, OBJECTS, JOINT),
        ("docs/joint.md", "joint-scale"): scale(),
        ("docs/joint.md", "joint-controls"): controls(),
        ("docs/joint.md", "joint-optics-lens"): study("joint-optics", "lens", "ablate-joint-optics-lens"),
        ("docs/joint.md", "joint-optics-filter"): study("joint-optics", "filter", "ablate-joint-optics-filter"),
        ("docs/joint.md", "joint-filters"): filters(),
        ("docs/joint.md", "joint-optics-candidates"): study(
            "joint-optics", "candidates", "ablate-joint-optics-candidates"
        ),
        ("docs/joint.md", "joint-components"): study("joint", "components", "ablate-joint"),
        ("docs/joint.md", "joint-kernel-size"): study("joint", "kernel-size", "ablate-joint"),
    }


JOINT = ("joint", "joint-linear", "joint-optics")
OBJECTS = {
    "demo": "beetle, black",
    "beetle-gray": "beetle, gray",
    "seed-demo": "seed, black",
    "seed-gray": "seed, gray",
}


def suite() -> dict[str, str]:
    """The captures of macro8 at preset small, and the names of their objects."""
    return {f"{name}-small": name for name in catalogue.SUITES["macro8"]}


def novel_views(found: Sequence[records.Record], captures: Mapping[str, str], names: Sequence[str]) -> str:
    """PSNR of novel views by capture, and how far joint-optics comes from the floor to the ceiling."""
    rows = []
    for capture, label in captures.items():
        own = {name: mean(found, capture, name, "novel", "psnr") for name in names}
        way = (own["joint-optics"] - own["3dgs"]) / (own["sharp-3dgs"] - own["3dgs"])
        rows.append({"capture": label} | {k: f"{v:.2f}" for k, v in own.items()} | {"of the way": f"{100 * way:.0f} %"})
    return grid(rows)


def kernels(found: Sequence[records.Record], captures: Mapping[str, str], names: Sequence[str]) -> str:
    """Kernel accuracy on the training views."""
    return grid([kernel_row(found, capture, label, name) for capture, label in captures.items() for name in names])


def kernel_row(found: Sequence[records.Record], capture: str, label: str, name: str) -> dict[str, str]:
    columns = {
        "identity, dB": ("identity_psnr", 2),
        "re-blurred, dB": ("reblur_psnr", 2),
        "ceiling, dB": ("ceiling_psnr", 2),
        "CoC error, px": ("coc_mae_px", 2),
        "focus error, %": ("focus_error_percent", 2),
        "aperture error, %": ("aperture_error_percent", 1),
    }
    cells = {"capture": label, "method": f"`{name}`"}
    for title, (metric, digits) in columns.items():
        unknown = metric.endswith("percent") and name != "joint-optics"
        cells[title] = "–" if unknown else f"{mean(found, capture, name, 'kernel', metric):.{digits}f}"
    return cells


RESTORERS = ("rl", "kernel-guided", "mpt-s")
RESTORED = {capture: OBJECTS[capture] for capture in ("demo", "beetle-gray", "seed-demo")}


def restored(found: Sequence[records.Record]) -> str:
    """PSNR of restored photographs on the object, by capture, dB."""
    return by_method(found, ("input", *RESTORERS, "rl-oracle"), "deblur", "mask_psnr")


def splatted(found: Sequence[records.Record]) -> str:
    """PSNR of novel views after splatting what was restored, by capture, dB."""
    return by_method(found, ("3dgs", *(f"{name}+3dgs" for name in RESTORERS)), "novel", "psnr")


def by_method(found: Sequence[records.Record], names: Sequence[str], track: str, metric: str) -> str:
    """A row for each contestant, with the difference of its average to the first one's."""
    rows, first = [], None
    for name in names:
        own = {label: mean(found, capture, name, track, metric) for capture, label in RESTORED.items()}
        average = fmean(own.values())
        first = average if first is None else first
        cells = {"": f"`{name}`"} | {label: f"{value:.2f}" for label, value in own.items()}
        rows.append(cells | {"difference": f"{average - first:+.2f}"})
    return grid(rows)


TOLD = {
    "": "the truth",
    "told.times=0.7": "30 % too little",
    "told.times=0.85": "15 % too little",
    "told.times=1.15": "15 % too much",
    "told.times=1.4": "40 % too much",
    "told.smoothed=2": "its average over 2 px",
    "told.smoothed=4": "over 4 px",
    "told.smoothed=8": "over 8 px",
    "told.smoothed=12": "over 12 px, as a blended tile of 64 px",
}


def told(of_demo: Sequence[records.Record]) -> str:
    """What Richardson-Lucy gains on demo, dB, when it is told the radius of every pixel's blur more or less truly."""
    by_change = {record.method.changed or "": record for record in records.find(PUBLISHED / "told")}
    rows = []
    for change, text in TOLD.items():
        row = {"told": text, "setting": f"`{change}`" if change else "–"}
        for metric, title in {"mask_psnr": "object", "psnr": "whole photograph"}.items():
            before = mean(of_demo, "demo", "input", "deblur", metric)
            row[title] = f"{mean([by_change[change]], 'demo', 'rl-oracle', 'deblur', metric) - before:+.2f}"
        rows.append(row)
    return grid(rows)


def ablated_trainings() -> str:
    """What trainings that differ in a setting end with: scores on held-out objects, the unchanged one and the one
    that ships first; how near the photograph come the twin as it is, and under disks of the true radii."""
    rows: list[dict[str, str]] = []
    for name, shipped in {"kernel-guided": "kernel-guided", "mpt": "mpt-s"}.items():
        paths = (PUBLISHED / "ablate-restorers").glob(f"{name}*.json")
        trainings = [json.loads(path.read_text())["facts"] for path in sorted(paths, key=lambda path: path.stem)]
        ships = checkpoint.facts(checkpoint.shipped(shipped))
        for facts in [trainings[0], ships, *trainings[1:]]:
            rows.append({"": f"`{name}`", "changed": changed_from(trainings[0], facts) or "–"} | held_out(facts))
        last = trainings[0]["curve"][-1]
        for known, text in {"identity": "no blur", "ceiling": "true disks"}.items():
            if f"{known}_psnr" in last:
                rows.append(dict.fromkeys(rows[0], "–") | {"": text} | reblurred(last, known))
    return grid(rows)


def changed_from(whole: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """In which settings, as `bench train --set` has them, a training differs from the whole one."""
    pairs = [(part, key, facts[part][key]) for part in ("network", "recipe") for key in facts[part]]
    return ", ".join(
        f"`{part}.{key}={json.dumps(value).strip(chr(34))}`" for part, key, value in pairs if value != whole[part][key]
    )


def held_out(facts: Mapping[str, Any]) -> dict[str, str]:
    """The last scores on objects that a training has not seen; gains over the photographs."""
    last = facts["curve"][-1]
    again = last.get("again_psnr")
    return {
        "steps": str(facts["step"]),
        "gain, dB": f"{last['psnr'] - last['input_psnr']:+.2f}",
        "gain, taken again, dB": f"{again - last['again_input_psnr']:+.2f}" if again is not None else "–",
    } | reblurred(last, "reblur")


def reblurred(scores: Mapping[str, float], known: str) -> dict[str, str]:
    """How near a twin comes the photograph under the blur that is `known`, if any is."""
    psnr, ssim = scores.get(f"{known}_psnr"), scores.get(f"{known}_ssim")
    return {
        "re-blurred, dB": "–" if psnr is None else f"{psnr:.2f}",
        "re-blurred, SSIM": "–" if ssim is None else f"{ssim:.3f}",
    }


def trained() -> str:
    """What the checkpoints that ship say of their training."""
    rows = []
    for name in ("kernel-guided", "mpt-s"):
        facts = checkpoint.facts(checkpoint.shipped(name))
        recipe, last = facts["recipe"], facts["curve"][-1]
        rows.append(
            {
                "": f"`{name}`",
                "MB": f"{checkpoint.shipped(name).stat().st_size / 1e6:.1f}",
                "pairs": str(facts["pairs"]["count"]),
                "objects": str(facts["pairs"]["objects"]),
                "steps": str(facts["step"]),
                "patches a step": f"{recipe['batch']} x {recipe['patch']} px",
                "photograph, dB": f"{last['input_psnr']:.2f}",
                "restored, dB": f"{last['psnr']:.2f}",
            }
            | reblurred(last, "reblur")
        )
    return grid(rows)


class Scale(NamedTuple):
    """A folder of records of one capture. What different sources have measured does not stand in one leaderboard."""

    folder: str
    capture: str
    label: str
    methods: tuple[str, ...] = ("joint-linear", "joint-optics")


SCALES = (
    Scale("mild", "beetle-f5", "beetle, 128 px, f/5"),
    Scale("scale", "seed-320", "seed, 320 px"),
    Scale("paper-scale", "spider-paper", "spider, 800 px"),
    Scale("paper-scale-wide", "spider-paper", "the same, filter of 0.3 px²", ("joint-optics",)),
    Scale("paper-scale-dense", "spider-paper", "the same, filter of 0.3 px², 44,634 Gaussians", ("joint-optics",)),
)


def scale() -> str:
    """Captures whose blur is as mild and whose views are as large as published ones, or nearly."""
    rows = []
    for folder, capture, label, methods in SCALES:
        found = records.find(PUBLISHED / folder)
        for name in methods:
            row = kernel_row(found, capture, label, name)
            rows.append(row | {"novel views, dB": f"{mean(found, capture, name, 'novel', 'psnr'):.2f}"})
    return grid(rows)


def without_truth() -> str:
    """What is scored on photographs alone beside the truth: demo, and demo exported and imported again; seed 0."""
    found = records.find(PUBLISHED / "without-truth")
    rows = []
    for name in ("3dgs", *JOINT):
        own = mean(found, "demo-imported", name, "kernel-own", "reblur_psnr") if name in JOINT else None
        rows.append(
            {
                "method": f"`{name}`",
                "novel views, truth": novel_psnr("demo", "demo", name),
                "in-focus PSNR": f"{mean(found, 'demo-imported', name, 'novel', 'in_focus_psnr'):.2f}",
                "own renders, re-blurred": "–" if own is None else f"{own:.2f}",
            }
        )
    return grid(rows)


def thirty_thousand_steps() -> str:
    """The preset paper beside quick, on demo, seed 0; and with settings changed."""
    found = {"quick": records.find(PUBLISHED / "demo"), "paper": records.find(PUBLISHED / "paper-demo")}
    first = [(preset, record) for preset, of in found.items() for record in of if record.seed == 0]
    rows = []
    for name in ("3dgs", "joint-linear", "joint-optics", "sharp-3dgs"):
        for preset, record in first:
            if record.method.name != name:
                continue
            change = [f"`{text}`" for text in changed_settings(record)]
            rows.append(
                {
                    "method": f"`{name}`",
                    "preset": f"`{preset}`",
                    "changed": ", ".join(change) or "–",
                    "novel views, dB": f"{mean([record], 'demo', name, 'novel', 'psnr'):.2f}",
                    "training views, dB": f"{mean([record], 'demo', name, 'deblur', 'psnr'):.2f}",
                    "Gaussians": str(record.gaussians),
                    "training, s": f"{record.times['train_s']:.0f}",
                }
            )
    return grid(rows)


def filters() -> str:
    """Novel views by the filter of the rasterizer (px^2), seed 0: of each contestant its own and the other one."""
    found = [record for record in records.find(PUBLISHED / "demo") if record.method.name != "joint-optics"]
    for folder in ("mild", "filter", "ablate-joint-optics-filter"):
        found += records.find(PUBLISHED / folder)
    found = [record for record in found if record.seed == 0]
    rows = []
    for name in ("3dgs", "joint-linear", "joint-optics", "sharp-3dgs"):
        row = {"method": f"`{name}`"}
        for capture, label in {"demo": "beetle", "beetle-f5": "beetle, f/5"}.items():
            for width in (0.3, 0.1):
                psnr = mean([record for record in found if dilation(record) == width], capture, name, "novel", "psnr")
                row[f"{label}, {width} px²"] = f"{psnr:.2f}"
        rows.append(row)
    return grid(rows)


def dilation(record: records.Record) -> object:
    """px^2, of the rasterizer that made a record; 3DGS's before it was a setting."""
    return record.method.config.get("3dgs", {}).get("dilation", DILATION)


CONTROLS = {
    "beetle-consistent": "focus behind the object in every view",
    "beetle-fixed": "one focus for all views",
    "beetle-sharp": "everything is sharp (f/500)",
}


def controls() -> str:
    """Novel views of captures that give a joint method nothing, or little, to gain."""
    found = records.find(PUBLISHED / "controls")
    names = ("3dgs", *JOINT, "sharp-3dgs")
    return grid(
        [
            {"the beetle, with": label} | {name: f"{mean(found, capture, name, 'novel', 'psnr'):.2f}" for name in names}
            for capture, label in CONTROLS.items()
        ]
    )


def study(method: str, name: str, folder: str) -> str:
    """An ablation: PSNR of novel views by capture, and the difference to the row that changes nothing, with its
    interval over the views of all captures."""
    found = records.find(PUBLISHED / folder)
    declared = contestants.find(method).studies[name]
    variants = [
        ablation.Variant(
            row,
            changes,
            [record for record in found if changed(record) == configuration.parse_changes(changes)],
            declared.published.get(row, {}),
        )
        for row, changes in declared.rows.items()
    ]
    rows = []
    for variant, difference in zip(variants, ablation.differences(variants), strict=True):
        cells = {"": variant.name}
        for capture in sorted({record.capture.name for record in found}):
            cells[OBJECTS[capture]] = f"{mean(variant.records, capture, method, 'novel', 'psnr'):.2f}"
        cells["difference, dB"] = ablation.difference_text(difference)
        if variant.published:
            cells["paper, other data"] = f"{variant.published['psnr']:.2f}"
        rows.append(cells)
    return grid(rows)


def changed_settings(record: records.Record) -> list[str]:
    """The settings in which an ablation's record differs, "FAMILY.SETTING=VALUE"; a value may be a list."""
    return re.split(r", (?=[\w-]+\.\w+=)", record.method.changed) if record.method.changed else []


def changed(record: records.Record) -> dict[str, dict[str, object]]:
    """The same by family."""
    return configuration.parse_changes(changed_settings(record))


def mean(found: Sequence[records.Record], capture: str, method: str, track: str, metric: str) -> float:
    """Mean over seeds of the means over views."""
    means = [
        aggregate.mean
        for record in found
        if (record.capture.name, record.method.name) == (capture, method)
        for aggregate in record.aggregates
        if (aggregate.track, aggregate.metric) == (track, metric)
    ]
    return fmean(means)


def measured(name: str) -> str:
    """`bench perf NAME` as measured on CPU, without the columns of a GPU that was not there."""
    result = json.loads((PUBLISHED / "perf" / f"{name}-cpu.json").read_text())[name]
    rows = import_module(BENCHMARKS[name]).table(result)
    return grid([{k: v for k, v in row.items() if any(other[k] not in ("", "-") for other in rows)} for row in rows])


def densification() -> str:
    """The default beside relocation, seed 0."""
    rows = [
        {
            "capture, trained on": label,
            "gradient": novel_psnr(folder, capture, method),
            "relocate": novel_psnr("relocate", capture, method),
        }
        for label, folder, capture, method in (
            ("beetle, sharp twins", "demo", "demo", "sharp-3dgs"),
            ("beetle, photographs", "demo", "demo", "3dgs"),
            ("seed, sharp twins", "objects", "seed-demo", "sharp-3dgs"),
            ("seed, photographs", "objects", "seed-demo", "3dgs"),
            ("chair", "chair", "chair-200", "3dgs"),
        )
    ]
    return grid(rows)


def novel_psnr(folder: str, capture: str, method: str) -> str:
    wanted = (capture, method, 0)
    (record,) = (
        record
        for record in records.find(PUBLISHED / folder)
        if (record.capture.name, record.method.name, record.seed) == wanted
    )
    (mean,) = (a.mean for a in record.aggregates if (a.track, a.metric) == ("novel", "psnr"))
    return f"{mean:.2f}"


def speed() -> str:
    """`bench perf rasterizer` without the column of a GPU that was not there."""
    measured = json.loads((PUBLISHED / "perf" / "rasterizer-cpu.json").read_text())["rasterizer"]
    return grid([{k: v for k, v in row.items() if k != "gsplat ms"} for row in rasterizer.table(measured)])


def grid(rows: Sequence[Mapping[str, str]]) -> str:
    rule = [":--" if index == 0 else "--:" for index in range(len(rows[0]))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (rows[0], rule, *(row.values() for row in rows)))


def parts(path: str, name: str) -> tuple[str, str, str]:
    """A file's text before, inside and after the named table."""
    text = (ROOT / path).read_text()
    before, rest = text.split(f"<!-- table {name} -->\n")
    inside, after = rest.split("<!-- /table -->", 1)
    return before + f"<!-- table {name} -->\n", inside, "<!-- /table -->" + after


if __name__ == "__main__":
    for (path, name), table in tables().items():
        before, _, after = parts(path, name)
        (ROOT / path).write_text(f"{before}{table}\n{after}")
