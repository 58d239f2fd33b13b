"""The rules of the project itself: layout, layers, style, types, and how fast the command line answers."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--output-format", "concise"),
        ("ruff", "format", "--check"),
        ("lint-imports",),
        ("mypy",),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_style_layers_and_types_hold(command: tuple[str, ...]) -> None:
    done = run(tool(command[0]), *command[1:])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_top_level_is_what_it_says() -> None:
    tracked = run("git", "ls-files").stdout.split("\n")
    top = {path.split("/")[0] for path in tracked if path}
    if not top:
        pytest.skip("not a git checkout")
    assert {name for name in top if not name.startswith(".")} == {
        *("pyproject.toml", "datasets", "methods", "bench", "reports", "tests"),
        *("README.md", "LICENSE", "CITATION.cff", "docs"),
    }


def fastest(*command: str, repeats: int = 12) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("list", "methods"),
        ("list", "captures"),
        ("list", "metrics"),
        ("list", "presets"),
        ("list", "objects"),
        ("list", "methods", "--json"),
    ],
    ids=" ".join,
)
def test_listing_answers_at_once(words: tuple[str, ...]) -> None:
    """In less than six times what Python takes to do nothing, so no torch, no Blender, no numpy."""
    assert fastest(tool("bench"), *words) < 6 * fastest(sys.executable, "-c", "pass")


def test_no_text_names_a_machine_or_a_package_host() -> None:
    hosts = "|".join(("py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.(org|com)", "deb" + r"\.debian\.org"))
    forbidden = re.compile(rf"{hosts}|(?<![\w.])/(work|root)/")
    for name in filter(None, run("git", "ls-files").stdout.split("\n")):
        try:
            text = (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found = forbidden.search(text)
        assert name == "tests/test_project.py" or not found, f"{name}: {found and found.group()}"
