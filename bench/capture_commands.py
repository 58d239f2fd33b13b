"""The verbs that make captures and show them (Typer). Heavy imports happen inside them."""

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
        typer.Argument(help="an object (bench list objects), a recipe's YAML file, or macro8: eight objects"),
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
            help="folder of the capture  [default: captures/OBJECT-PRESET]; of macro8, folder of its captures"
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="objects of macro8 at a time  [default: one per core]")
    ] = None,
    as_json: Json = False,
) -> int:
    """Render a capture, or go on with one that was interrupted."""
    from bench import suite
    from bench.synth import chosen, default_folder, render
    from datasets.synthesis.recipes import SUITES

    if recipe in SUITES and model is None and size_mm is None and texture is None:
        return suite.render(recipe, preset, out, jobs, as_json)
    if jobs is not None:
        raise InputError(f"--jobs is for suites ({', '.join(SUITES)}); a single capture uses all cores.")

    wanted = chosen(recipe, preset, model, size_mm, texture)
    return render(wanted, out or default_folder(str(model or recipe), preset), as_json)


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
    captures: Annotated[list[str], typer.Argument(help="folders or names of captures")],
    out: Annotated[Path, typer.Option(help="the PNG")] = Path("sheet.png"),
    view: Annotated[str | None, typer.Option(help="name of a view  [default: the most defocused one]")] = None,
    side: Annotated[int, typer.Option(min=16, max=2000, help="px of a cell")] = 256,
) -> int:
    """Draw captures at a glance."""
    from bench.contact_sheet import write_contact_sheet
    from datasets.captures import open_capture

    write_contact_sheet(out, [open_capture(capture) for capture in captures], view, side)
    print(f"{out} is drawn.")
    return 0
