"""`bench weights`: the store of weights that the authors of networks published (Typer)."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.capture_commands import Json
from bench.cli import VERBS
from bench.listing import show
from methods.restoration import weights as store

app = typer.Typer(
    help=VERBS["weights"],
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(help="of the weights (bench weights list)")]


@app.command("list", help="what is there, what is missing, and where to get it")
def list_weights(as_json: Json = False) -> int:
    rows = []
    for name, release in store.RELEASES.items():
        facts = {"state": store.state(name), "sha256": store.recorded_sha256(name) or ""}
        told = {"trained_on": release.trained_on, "file": release.file, "where": release.where}
        rows.append({"name": name, **facts, **told})
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        show([row | {"sha256": row["sha256"][:12]} for row in rows], *rows[0])
    return 0


@app.command(help="check a file that you fetched, and keep it")
def add(
    name: Name,
    file: Annotated[Path, typer.Argument(help="as the authors published it: .pth, .pt, .tar or .safetensors")],
    sha256: Annotated[str | None, typer.Option(help="refuse the file unless this is its SHA-256")] = None,
) -> int:
    print(store.add(name, file, sha256))
    return 0


@app.command(help="print the path that a file has or would have, and where to get it")
def where(name: Name) -> int:
    print(store.path(name))
    print(store.why_missing(name) or f"It is there: {store.find(name).file}.", file=sys.stderr)
    return 0
