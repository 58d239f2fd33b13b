"""The verbs of learned restorers (Typer): training them, and keeping the weights that others published."""

from pathlib import Path
from typing import Annotated

import typer

from bench import weights
from bench.capture_commands import Json
from bench.cli import VERBS
from bench.device import Device, chosen_device

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

app.add_typer(weights.app, name="weights")


@app.command(help=VERBS["train"])
def train(
    restorer: Annotated[str, typer.Argument(help="kernel-guided, mpt, restormer, nrknet or iniknet")],
    pairs: Annotated[Path, typer.Option(help="folder of `bench synth pairs`")] = Path("pairs"),
    preset: Annotated[
        str, typer.Option(help="tiny, small or paper; the options below default to what it says")
    ] = "small",
    out: Annotated[Path | None, typer.Option(help="the checkpoint  [default: RESTORER-PRESET.safetensors]")] = None,
    steps: Annotated[int | None, typer.Option(help="of the optimiser")] = None,
    width: Annotated[int | None, typer.Option(min=1, help="channels of the network's first level")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="the highest")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="of parameters and patches")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="network.SETTING=VALUE or recipe.SETTING=VALUE")
    ] = None,
    extra: Annotated[Path | None, typer.Option(help="pairs whose photographs alone are used, by extended EFCR")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Train, or go on training; exit code 1 if the loss is no longer finite."""
    from methods.restoration.learning.recipe import plan

    kind = chosen_device(device)
    options = {"width": width, "steps": steps, "learning_rate": learning_rate, "seed": seed}
    wanted = plan(restorer, preset, changes or [], **options)
    from bench.training import train_restorer

    return train_restorer(wanted, pairs, out or Path(f"{restorer}-{preset}.safetensors"), kind, extra, as_json)
