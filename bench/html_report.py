"""The leaderboard of a run as a folder to open in a browser: the page and copies of the images that it shows."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from urllib.parse import quote

from bench.comparison import most_defocused
from bench.pictures import first_jobs, folder_of, titled
from datasets.capture import Capture, View
from datasets.captures import open_capture
from datasets.errors import InputError
from datasets.images import write_png
from reports import page
from reports.records import Record, write_atomic

PAGE = "index.html"

TRACKS = ("novel", "deblur")

Shown = dict[str, list[tuple[str, str]]]
"""By view: (label, address relative to the page)."""

SHEETS = {
    "comparison": "A held-out view as every method renders it",
    "blur": "One photograph under the models of the blur",
    "variance": "Photographs beside the width of their blur",
}
"""Pictures that a run leaves, by the first word of their names."""


def write(folder: Path, run: Path, found: Sequence[Record]) -> Path:
    """Write the page of `found`, the records of `run`, into `folder`. Files of that name there are replaced. Its path.

    Images that the jobs have left are shown, and photographs and sharp twins where the captures lie where they did;
    the page says what it lacks. Raises RecordError where the records cannot stand in one table, OSError.
    """
    images: dict[str, Shown] = {}
    bare: list[str] = []
    absent: list[str] = []
    for name in dict.fromkeys(record.capture.name for record in found):
        jobs = first_jobs(record for record in found if record.capture.name == name)
        if not any(_views_of(run, jobs, track) for track in TRACKS):
            bare.append(name)
            continue
        try:
            capture = _capture_of(jobs[0])
        except InputError as error:
            capture = None
            absent.append(f"Photographs and sharp twins of {name} cannot be shown: {error}")
        images[name] = _images(folder, run, jobs, capture)
    if bare:
        absent.insert(0, f"The images of {', '.join(bare)} are not beside the records.")
    sheets = [
        (f"{caption}: {path.stem.removeprefix(f'{kind}-')}", _copied(path, folder, Path(path.name)))
        for kind, caption in SHEETS.items()
        for path in sorted(run.glob(f"{kind}-*.png"))
    ]
    write_atomic(folder / PAGE, page.html(found, images, sheets, absent))
    return folder / PAGE


def _capture_of(job: Record) -> Capture:
    """The capture of a job, where its command found it. Raises InputError if it is not there, or is another."""
    argument = job.command[2]  # bench run CAPTURE
    capture = open_capture(argument)
    if capture.content_hash != job.capture.content_hash:
        raise InputError(f"{argument} is no longer what the jobs were given.")
    return capture


def _images(folder: Path, run: Path, jobs: Sequence[Record], capture: Capture | None) -> Shown:
    """Copies of what there is to see of every held-out view and of one training view, the most out of focus."""
    shown: Shown = {}
    views = {view.name: view for view in (*capture.test, *capture.train)} if capture else {}
    of_track = {track: _views_of(run, jobs, track) for track in TRACKS}
    if capture and capture.has_truth and of_track["deblur"]:
        of_track["deblur"] = [most_defocused([views[name] for name in of_track["deblur"] if name in views]).name]
    for track, names in (("novel", of_track["novel"]), ("deblur", of_track["deblur"][:1])):
        for name in names:
            place = Path("images", jobs[0].capture.name, track, name)
            cells = []
            for job in jobs:
                source = run / folder_of(job) / track / f"{name}.png"
                if source.exists():
                    copy = _copied(source, folder, place / f"{job.method.name}.png")
                    cells.append((titled(job, track, name), copy))
            shown[name] = _with_truth(cells, views.get(name), folder, place)
    return shown


def _views_of(run: Path, jobs: Sequence[Record], track: str) -> list[str]:
    """Names of the views that any of the jobs has left an image of."""
    return sorted({path.stem for job in jobs for path in (run / folder_of(job) / track).glob("*.png")})


def _with_truth(cells: list[tuple[str, str]], view: View | None, folder: Path, place: Path) -> list[tuple[str, str]]:
    """Between its photograph and its sharp twin, as far as they are known."""
    found = list(cells)
    if view is not None:
        truth = view.truth() if view.read_truth else None
        around = {"photograph": view.photograph().image} | ({"sharp twin": truth.sharp} if truth else {})
        for title, image in around.items():
            path = place / f"{title}.png"
            (folder / place).mkdir(parents=True, exist_ok=True)
            write_png(folder / path, image)
            found.insert(0 if title == "photograph" else len(found), (title, quote(path.as_posix())))
    return found


def _copied(source: Path, folder: Path, path: Path) -> str:
    """The address of a copy of `source` that is now at `path` in `folder`."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    copyfile(source, folder / path)
    return quote(path.as_posix())
