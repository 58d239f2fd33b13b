"""The verbs of the contest (Typer), and those of captures with them. Heavy imports happen inside the verbs."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench import capture_commands, restorer_commands
from bench.capture_commands import Json
from bench.cli import VERBS
from bench.device import Device, chosen_device
from datasets.errors import InputError

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

app.add_typer(capture_commands.app)
app.add_typer(restorer_commands.app)

Methods = Annotated[str, typer.Option(help="all, or names (and Python files) with commas between")]
Preset = Annotated[str, typer.Option(help="auto, smoke, quick or paper")]
Seeds = Annotated[str, typer.Option(help="whole numbers with commas between")]
Jobs = Annotated[int | None, typer.Option(min=1, help="at a time; a core each on CPU, one on CUDA")]
LpipsWeights = Annotated[
    Path | None, typer.Option(help="npz of AlexNet's backbone, where torchvision cannot download it")
]


def main(argv: list[str]) -> int:
    """Parse `argv` and run its verb; the exit code."""
    from bench.lpips_backbone import LpipsUnavailable, LpipsWeightsError
    from reports.records import RecordError

    try:
        code = app(argv, prog_name="bench", standalone_mode=False)
    except typer.Exit as end:
        return end.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as error:
        raise InputError(error.format_message()) from error
    except (RecordError, LpipsUnavailable, LpipsWeightsError) as error:
        raise InputError(str(error)) from error
    return int(code or 0)


@app.command(help=VERBS["run"])
def run(
    captures: Annotated[list[str] | None, typer.Argument(help="folders or names; none means demo")] = None,
    methods: Methods = "all",
    preset: Preset = "auto",
    seeds: Seeds = "0",
    device: Device = "auto",
    jobs: Jobs = None,
    out: Annotated[Path | None, typer.Option(help="folder of the run  [default: runs/CAPTURES-PRESET]")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="FAMILY.SETTING=VALUE, an ablation; the record tells of it")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="standard, or paper: models of the blur also re-blur what sharp-3dgs renders")
    ] = "standard",
    lpips_weights: LpipsWeights = None,
    as_json: Json = False,
) -> int:
    """Let contestants compete; exit code 1 if a job failed."""
    from datasets.captures import open_capture

    budget = _budget(device, preset, jobs)
    opened = [(argument, open_capture(argument)) for argument in captures or ["demo"]]
    named = "+".join(capture.name for _, capture in opened)
    folder = out or Path("runs") / "-".join([named, budget[1], *(changes or [])]).replace("/", "_")
    found, failed = _compete(opened, methods, budget, seeds, folder, changes or [], protocol, lpips_weights)
    _print_leaderboard(found, folder, as_json)
    return 1 if failed else 0


def _compete(
    opened: list[tuple[str, Any]],
    methods: str,
    budget: tuple[Any, str, int],
    seeds: str,
    folder: Path,
    changes: list[str],
    protocol: str,
    lpips_weights: Path | None,
) -> tuple[Any, bool]:
    """Run contestants on captures, `opened` as (argument, Capture), and write leaderboard and pictures into `folder`;
    all records there, and whether a job failed."""
    from bench import environment, pictures, runner
    from bench.board import Board
    from bench.plan import CLEAN_SOURCE, plan
    from methods import configuration, contestants
    from reports import leaderboard, records

    console = Console(stderr=True)
    kind, chosen, workers = budget
    entries = [(name, contestants.find(name)) for name in _methods(methods)]
    parsed_seeds, parsed_changes = _seeds(seeds), configuration.parse_changes(changes)
    rules = _protocol(protocol)
    reblurs = rules == "paper" and any("kernel" in entry.outputs for _, entry in entries)
    if reblurs and CLEAN_SOURCE not in [entry.name for _, entry in entries]:
        entries = [(CLEAN_SOURCE, contestants.find(CLEAN_SOURCE)), *entries]
    wanted = plan(opened, entries, parsed_seeds, chosen, kind, environment.source_hash(), parsed_changes, rules)
    names = ", ".join(capture.name for _, capture in opened)
    runner.lpips_digest(lpips_weights)  # a bad file is named before anything runs
    console.print(
        f"{len(wanted)} jobs into {folder}: {names}; preset {chosen}, device {kind}, {workers} at a time",
        highlight=False,
    )
    with runner.lock(folder), Board(console) as show:
        board = runner.run(wanted, {c.name: c for _, c in opened}, folder, workers, lpips_weights, show)
        found = records.find(folder)
        leaderboard.write(folder, found)
        for _, capture in opened:
            pictures.write(folder, capture, found)
    return found, any(progress.state == "failed" for progress in board)


@app.command(help=VERBS["sweep"])
def sweep(
    recipe: Annotated[str, typer.Argument(help="an object (bench list objects) or a recipe's YAML file")],
    vary: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE,VALUE,... of the recipe, as lens.f_number=8,4; coc=2,4 sets the f-number by px"),
    ] = None,
    of: Annotated[str | None, typer.Option(help="the recipe's preset: demo, small, paper, or a YAML file")] = None,
    methods: Methods = "all",
    preset: Annotated[str, typer.Option(help="of the contestants: auto, smoke, quick or paper")] = "auto",
    seeds: Seeds = "0",
    device: Device = "auto",
    jobs: Jobs = None,
    out: Annotated[Path | None, typer.Option(help="folder  [default: runs/sweep-NAME]")] = None,
    score: Annotated[str, typer.Option(help="a column of the leaderboard")] = "psnr",
    lpips_weights: LpipsWeights = None,
    as_json: Json = False,
) -> int:
    """Render the captures of a grid, let contestants compete on all of them, and plot a score against the blur."""
    from bench import sweep as grids
    from bench.listing import show as show_table
    from bench.synth import default_folder, watched
    from datasets.captures import open_capture
    from datasets.synthesis import recipes
    from methods.registry import suggestion
    from reports import records
    from reports import sweep as tables
    from reports.columns import SCORES

    if score not in SCORES:
        raise InputError(f"There is no score {score}; {suggestion(score, SCORES)}")
    base, name = recipes.load(recipe, of), default_folder(recipe, of).name
    wanted = {grids.label(name, changes): grids.varied(base, changes) for changes in grids.grid(vary or [])}
    folder = out or Path("runs") / f"sweep-{name}"
    budget = _budget(device, preset, jobs)
    captures = [str(watched(one, folder / "captures" / label).path) for label, one in wanted.items()]
    opened = [(path, open_capture(path)) for path in captures]
    found, failed = _compete(opened, methods, budget, seeds, folder / "contest", [], "standard", lpips_weights)
    rows = tables.table(found, score)
    records.write_atomic(folder / "sweep.csv", tables.as_csv(rows, score))
    grids.plot(folder / "sweep.png", rows, score)
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        shown = ("capture", "method", "coc_px", score, "low", "high")
        show_table([{key: _short(row[key]) for key in shown} for row in rows], *shown)
    print(f"Table and plot: {folder / 'sweep.csv'}, {folder / 'sweep.png'}", file=sys.stderr)
    return 1 if failed else 0


@app.command(help=VERBS["ablate"])
def ablate(
    method: Annotated[str, typer.Argument(help="name of a contestant, or a Python file that declares one")],
    captures: Annotated[list[str] | None, typer.Argument(help="folders or names; none means demo")] = None,
    studies: Annotated[str, typer.Option(help="all, or names with commas between")] = "all",
    preset: Preset = "auto",
    seeds: Seeds = "0",
    device: Device = "auto",
    jobs: Jobs = None,
    out: Annotated[Path | None, typer.Option(help="folder  [default: runs/ablate-METHOD-CAPTURES-PRESET]")] = None,
    lpips_weights: LpipsWeights = None,
    as_json: Json = False,
) -> int:
    """Print the tables; exit code 1 if a job failed."""
    from bench import ablate as ablations
    from bench import environment, runner
    from bench.board import Board
    from bench.listing import show as show_table
    from datasets.captures import open_capture
    from methods import contestants
    from reports import ablation

    console = Console(stderr=True)
    kind, chosen, workers = _budget(device, preset, jobs)
    entry = contestants.find(method)
    names = [] if studies == "all" else [name.strip() for name in studies.split(",") if name.strip()]
    wanted_studies = ablations.studies_of(entry, names)
    opened = [(argument, open_capture(argument)) for argument in captures or ["demo"]]
    wanted = ablations.jobs(
        wanted_studies, opened, (method, entry), _seeds(seeds), chosen, kind, environment.source_hash()
    )
    named = "+".join(capture.name for _, capture in opened)
    folder = out or Path("runs") / "-".join(["ablate", entry.name, named, chosen])
    runner.lpips_digest(lpips_weights)  # a bad file is named before anything runs
    console.print(f"{len(wanted)} jobs into {folder}; preset {chosen}, device {kind}, {workers} at a time")
    with runner.lock(folder), Board(console) as show:
        board = runner.run(wanted, {c.name: c for _, c in opened}, folder, workers, lpips_weights, show)
        found = ablations.write(wanted_studies, folder)
    tables = {name: ablation.table(variants) for name, variants in found.items()}
    if as_json:
        print(json.dumps(tables, indent=1))
    for name, rows in tables.items():
        if not as_json:
            shown = ("row", "changes", "status", "psnr", "difference", "ssim", "lpips", "train_s", "peak_mb")
            show_table([{key: _short(row[key]) for key in shown} for row in rows], *shown)
        print(f"{wanted_studies[name].title}: {folder / f'{name}.md'}", file=sys.stderr)
    return 1 if any(progress.state == "failed" for progress in board) else 0


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else value


@app.command(help=VERBS["refocus"])
def refocus(
    run: Annotated[Path, typer.Argument(help="folder of a run or of one of its jobs, by joint-optics")],
    view: Annotated[str | None, typer.Option(help="a training view  [default: the first]")] = None,
    focus: Annotated[
        float | None, typer.Option(help="mm from the lens; without it only what is sharp all over")
    ] = None,
    f_number: Annotated[float | None, typer.Option(help="of the lens  [default: as it was learned]")] = None,
    focal_length: Annotated[float | None, typer.Option(help="mm, for --f-number  [default: the capture's]")] = None,
    pull: Annotated[int, typer.Option(min=0, help="so many frames from the nearest to the farthest, and a video")] = 0,
    out: Annotated[Path | None, typer.Option(help="folder  [default: RUN/refocus]")] = None,
) -> int:
    """Write photographs of a scene that knows its lens."""
    from bench.refocus import refocus as photograph

    for path in photograph(run, out, view, focus, f_number, focal_length, pull):
        print(path)
    return 0


@app.command("eval", help=VERBS["eval"])
def evaluate(
    capture: Annotated[str, typer.Argument(help="folder or name of the capture")],
    folder: Annotated[Path, typer.Argument(help="holds novel/VIEW.png, deblur/VIEW.png and/or kernel/VIEW.png")],
    lpips_weights: LpipsWeights = None,
    as_json: Json = False,
) -> int:
    """Print the mean of every metric over the views."""
    from bench import evaluate as scoring
    from bench.listing import show
    from datasets.captures import open_capture

    opened = open_capture(capture)
    tracks = scoring.tracks_in(opened, folder)
    scores = scoring.score(opened, folder, tracks, lpips_weights)
    metrics = list(dict.fromkeys(value.metric for value in scores.values))
    rows: list[dict[str, Any]] = []
    for track in tracks:
        means = {metric: scores.mean(track, metric) for metric in metrics}
        rows.append({"track": track, "views": len(scoring.views_of(opened, track)), **means})
    if as_json:
        values = [vars(value) for value in scores.values]
        print(json.dumps({"tracks": rows, "values": values, "unavailable": scores.unavailable}, indent=1))
        return 0
    shown = [{key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]
    show(shown, *shown[0])
    for reason in dict.fromkeys(scores.unavailable.values()):
        print(f"no {', '.join(what for what, why in scores.unavailable.items() if why == reason)}: {reason}")
    return 0


@app.command(help=VERBS["report"])
def report(
    folder: Annotated[Path, typer.Argument(help="folder of a run, or of records")],
    out: Annotated[Path | None, typer.Option(help="where to write  [default: that folder]")] = None,
    as_html: Annotated[bool, typer.Option("--html", help="html/index.html as well, with the run's images")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="leaderboard.tex as well, for booktabs")] = False,
    as_json: Json = False,
) -> int:
    """Write leaderboard.md, leaderboard.csv and results.csv from the records alone."""
    from reports import latex, leaderboard, records

    found = records.find(folder)
    if not found:
        raise InputError(f"The folder {folder} holds no record of a job.")
    target = out or folder
    target.mkdir(parents=True, exist_ok=True)
    leaderboard.write(target, found)
    if as_latex:
        records.write_atomic(target / "leaderboard.tex", latex.tables(found))
    _print_leaderboard(found, target, as_json)
    if as_html:
        from bench import html_report

        print(f"Page: {html_report.write(target / 'html', folder, found)}", file=sys.stderr)
    return 0


@app.command(help=VERBS["doctor"])
def doctor(
    fetch: Annotated[bool, typer.Option("--fetch", help="download AlexNet's weights for LPIPS first")] = False,
    lpips_weights: LpipsWeights = None,
    as_json: Json = False,
) -> int:
    """Look at everything that the verbs may need."""
    from bench import lpips_backbone
    from bench.doctor import examine

    if fetch:
        lpips_backbone.fetch()
    findings = examine(lpips_weights)
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
        return 0
    for finding in findings:
        print(f"{'yes' if finding.ok else 'no ':<4} {finding.name:<16} {finding.detail}")
        if finding.fix:
            print(f"{'':<21} -> {finding.fix}")
    return 0


@app.command(help=VERBS["perf"])
def perf(
    what: Annotated[str, typer.Argument(help="rasterizer, blur, train, synth, restore, or all")] = "all",
    out: Annotated[Path | None, typer.Option(help="write the JSON here as well")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="the fastest of so many counts")] = 10,
    device: Annotated[str, typer.Option(help="auto (all there are), cpu or cuda")] = "auto",
    as_json: Json = False,
) -> int:
    """Measure, print a table, and write JSON; of all, those that fail stop no other."""
    from bench.listing import show
    from bench.perf import BENCHMARKS, DEVICES, measured
    from methods.registry import suggestion

    if what != "all" and what not in BENCHMARKS:
        raise InputError(f"There is no benchmark {what}; {suggestion(what, [*BENCHMARKS, 'all'])}")
    devices = (chosen_device(device),) if device != "auto" else DEVICES
    results: dict[str, Any] = {}
    for name, result, rows in measured(BENCHMARKS if what == "all" else [what], repeats, devices):
        results[name] = result
        if out:  # after each, as the next may take minutes
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(results, indent=1) + "\n")
        if not as_json and rows:
            show(rows, *rows[0])
            print()
    if as_json:
        print(json.dumps(results, indent=1))
    return 1 if any("error" in result for result in results.values()) else 0


def _budget(device: str, preset: str, jobs: int | None) -> tuple[Any, str, int]:
    """The device, the preset that goes with it where none is named, and how many jobs may run at a time."""
    from bench.environment import cores

    kind = chosen_device(device)
    chosen = preset if preset != "auto" else ("paper" if kind == "cuda" else "quick")
    return kind, chosen, jobs or (1 if kind == "cuda" else cores())


def _protocol(name: str) -> Any:
    if name not in ("standard", "paper"):
        raise InputError(f"There is no protocol {name}; known: standard, paper.")
    return name


def _methods(text: str) -> list[str]:
    from methods.contestants import registry

    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError("--methods names no method; give all, or names with commas between.")
    return [name for given in names for name in (registry().names() if given == "all" else [given])]


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        raise InputError(f"--seeds {text} is not a list of whole numbers such as 0,1,2.") from None
    if any(not 0 <= seed < 2**31 for seed in seeds):
        raise InputError(f"--seeds {text} has a seed outside 0 to 2147483647.")
    return seeds


def _print_leaderboard(found: list[Any], folder: Path, as_json: bool) -> None:
    from bench.leaderboard_table import table
    from reports import leaderboard
    from reports.rows import job_name

    rows = leaderboard.rows(found)
    if as_json:
        print(json.dumps([row.cells() for row in rows], indent=1))
        return
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 140)  # a file has no edge at which numbers had to be cut
    console.print(table(rows))
    for record in found:
        for warning in record.warnings:
            print(f"Warning of {job_name(record)}: {warning}", file=sys.stderr)
    print(f"Leaderboard: {folder / 'leaderboard.md'}", file=sys.stderr)
