"""The verbs that make captures and show them (Typer). Heavy imports happen inside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import VERBS
from datasets.errors import InputError

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

Json = Annotated[bool, typer.Option("--json", help="print the table as JSON")]


@app.command(help=VERBS["synth"])
def synth(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="an object (bench list objects), a recipe's YAML file, macro8: eight objects, or pairs: for training"
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="your own model instead: glb, gltf, obj, ply, stl, fbx, usd, usdz or blend")
    ] = None,
    size_mm: Annotated[float | None, typer.Option(help="of the model: diameter of the sphere around it")] = None,
    texture: Annotated[
        str | None, typer.Option(help="of the model: own, or fractal in its place  [default: own]")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="demo, small, paper, or a YAML file  [default: demo]")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="folder of the capture  [default: captures/OBJECT-PRESET]; of macro8, folder of its captures; of "
            "pairs, their folder  [default: pairs]"
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="objects of macro8 or of pairs at a time  [default: one per core]")
    ] = None,
    count: Annotated[int | None, typer.Option(help="of pairs")] = None,
    size: Annotated[int | None, typer.Option(help="of pairs: px a side  [default: 128]")] = None,
    seed: Annotated[int | None, typer.Option(help="of pairs: other objects  [default: 0]")] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="of pairs: per pixel of a sharp twin, and twice as many of its photograph  [default: 24]"),
    ] = None,
    as_json: Json = False,
) -> int:
    """Render captures or training pairs, or go on with what was interrupted."""
    from bench import suite
    from bench.synth import chosen, default_folder, render
    from datasets.synthesis.catalogue import SUITES

    own_model = {"model": model, "size-mm": size_mm, "texture": texture}
    if recipe == "pairs":
        from bench.training_pairs import render_pairs

        refuse({"preset": preset, **own_model}, "`bench synth`, but not for pairs")
        return render_pairs(count, out, as_json, size=size, seed=seed, samples=samples, jobs=jobs)
    refuse({"count": count, "size": size, "seed": seed, "samples": samples}, "`bench synth pairs`")
    if recipe in SUITES and all(value is None for value in own_model.values()):
        return suite.render(recipe, preset, out, jobs, as_json)
    if jobs is not None:
        raise InputError(f"--jobs is for suites ({', '.join(SUITES)}) and pairs; a single capture uses all cores.")

    wanted = chosen(recipe, preset, model, size_mm, texture)
    return render(wanted, out or default_folder(str(model or recipe), preset), as_json)


def refuse(options: Mapping[str, object], verb: str) -> None:
    """Raise InputError if any of the options that only `verb`, in words, has was given."""
    if given := [f"--{name}" for name, value in options.items() if value is not None]:
        raise InputError(f"{given[0]} is an option of {verb}.")


@app.command("import", help=VERBS["import"])
def import_photographs(
    photos: Annotated[Path, typer.Argument(help="folder of photographs")],
    poses: Annotated[str, typer.Option(help="colmap, transforms, llff, or compute: structure from motion, now")],
    out: Annotated[Path | None, typer.Option(help="folder of the capture  [default: captures/NAME]")] = None,
    model: Annotated[
        Path | None, typer.Option(help="where the poses lie, if not near PHOTOS (as in PHOTOS/../sparse/0)")
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="folder of masks, white on the object: the rest is black")] = None,
    scale_mm: Annotated[
        float | None, typer.Option(help="mm of one unit of the poses; else the world has no unit")
    ] = None,
    downscale: Annotated[int, typer.Option(help="so many pixels a side become one")] = 1,
) -> int:
    """Make a capture without ground truth."""
    from bench.photographs import import_photographs as make

    return make(photos, poses, out, model=model, masks=masks, scale_mm=scale_mm, downscale=downscale)


@app.command(help=VERBS["export"])
def export(
    capture: Annotated[str, typer.Argument(help="folder or name of the capture")],
    kind: Annotated[str, typer.Option("--format", help="colmap or transforms")],
    out: Annotated[Path, typer.Option(help="folder to make")],
) -> int:
    """Write photographs, cameras and points, but no ground truth."""
    from datasets.captures import open_capture
    from datasets.interchange.exporting import export_capture

    export_capture(open_capture(capture), kind, out)
    print(f"{out} is done.")
    return 0


@app.command(help=VERBS["convert"])
def convert(
    capture: Annotated[str, typer.Argument(help="folder or name of the capture")],
    out: Annotated[Path, typer.Option(help="folder to make")],
    downscale: Annotated[int, typer.Option(help="so many pixels a side become one")] = 1,
) -> int:
    """Write a capture in our form."""
    from datasets import convert as conversion
    from datasets.captures import open_capture

    conversion.write(open_capture(capture), out, downscale)
    print(f"{out} is done.")
    return 0


@app.command(help=VERBS["sheet"])
def sheet(
    captures: Annotated[list[str], typer.Argument(help="folders or names of captures, or a folder of training pairs")],
    out: Annotated[Path, typer.Option(help="the PNG")] = Path("sheet.png"),
    view: Annotated[str | None, typer.Option(help="name of a view  [default: the most defocused one]")] = None,
    side: Annotated[int, typer.Option(min=16, max=2000, help="px of a cell")] = 256,
) -> int:
    """Draw captures, or training pairs, at a glance."""
    from bench.contact_sheet import write_contact_sheet, write_pairs_sheet
    from datasets.captures import open_capture
    from datasets.pairs import holds_pairs, open_pairs

    if len(captures) == 1 and holds_pairs(captures[0]):
        refuse({"view": view}, "`bench sheet CAPTURE`")
        write_pairs_sheet(out, open_pairs(captures[0]), side)
    else:
        write_contact_sheet(out, [open_capture(capture) for capture in captures], view, side)
    print(f"{out} is drawn.")
    return 0
