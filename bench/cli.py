"""The entry point. What must answer at once (the overview, `bench list`) imports nothing heavy."""

import errno
import sys
from collections.abc import Callable

DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT),
)

VERBS = {
    "run": "let contestants compete on captures, score what they leave, write the leaderboard",
    "ablate": "run the ablations that a contestant declares, and write their tables",
    "sweep": "render captures of a grid of recipes, run the contest on them, plot a score against the blur",
    "synth": "render a macro capture in Blender, with exact defocus and exact ground truth",
    "train": "train a learned restorer on pairs of photographs and sharp twins",
    "sheet": "draw captures at a glance: sharp, photograph, depth, circles of confusion",
    "import": "make a capture of your own photographs, with poses from COLMAP, nerfstudio, LLFF, or computed",
    "export": "write a capture so that COLMAP's or nerfstudio's readers take it",
    "convert": "write a capture in our form, smaller if wished",
    "refocus": "photograph a fitted scene at any focus and aperture",
    "eval": "score a folder of images from anybody's program against a capture",
    "report": "write the leaderboard of a finished or unfinished run again, as a page or for LaTeX too",
    "list": "list methods, captures, metrics, presets or objects",
    "weights": "keep the weights that authors published: list, add a file, tell where it lies",
    "doctor": "what this machine can do, and how to get what is missing",
    "perf": "measure speed and memory side by side",
}


def overview() -> str:
    """What `bench --help` prints."""
    verbs = "\n".join(f"  {name:<8} {summary}" for name, summary in VERBS.items())
    return (
        "Usage: bench VERB [...]     bench VERB --help tells more\n\n"
        "From a few dozen defocused macro photographs: who gives back the sharp object?\n\n"
        f"{verbs}\n\n"
        "Start with: bench run --methods all\n"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code. Errors of the user end in one sentence and code 2."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("--help", "-h", "help"):
        print(overview(), end="")
        return 0
    if argv[0] == "list":
        from bench.listing import main as run_list

        return _guarded(run_list, argv[1:])
    from bench.commands import main as run_command

    return _guarded(run_command, argv)


def _guarded(command: Callable[[list[str]], int], argv: list[str]) -> int:
    from datasets.errors import InputError

    try:
        code = command(argv)
        if code == 130:
            raise KeyboardInterrupt  # Typer makes an exit code of it
        return code
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(
            f"Error: {error.strerror}{where}; what was finished is kept.",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
