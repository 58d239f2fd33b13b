"""What there is to photograph, and what decides how it looks: objects, suites of them, presets.

Listing it costs neither numpy nor Blender.
"""

import ast
import hashlib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from datasets.errors import InputError

PRESETS = Path(__file__).parent / "presets"

PACKAGE = "datasets.synthesis.objects"

# Name of a suite: its objects. The first four are small things as the seed paper's own captures show, the others stand
# for its shrunken models of everyday size.
SUITES = {"macro8": ("grain", "locust", "seed", "spider", "beetle", "connector", "coral", "fern")}

# Name of an object: the module whose `build(seed)` makes its `Model`.
OBJECTS = {name: f"{PACKAGE}.{name}" for name in sorted(SUITES["macro8"])}

# What makes an object of a model's file.
_IMPORTER = "datasets.synthesis.imported"


def known(name: str, names: Iterable[str], kind: str) -> None:
    """Raise InputError, with the nearest of `names`, if `name` is not among them."""
    names = list(names)
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}."
        raise InputError(f"There is no {kind} {name!r}; {hint}")


def presets() -> dict[str, str]:
    """Presets by name, each with the comment in its first line: reading YAML would take longer than listing may."""
    return {path.stem: path.read_text().partition("\n")[0].lstrip("# ") for path in sorted(PRESETS.glob("*.yaml"))}


def objects() -> dict[str, str]:
    """Objects by name, each with the first line of its module's docstring."""
    return {name: _title(_source(module)) for name, module in OBJECTS.items()}


def source_hash(name: str | None) -> str:
    """SHA-256 over the source that decides how an object (None: an imported model) looks: `sources`, by name and
    content."""
    digests = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in sources(name)]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def sources(name: str | None) -> list[Path]:
    """The module of an object (None: the importer), the studio, and whatever these import of the objects' package;
    sorted."""
    module = _IMPORTER if name is None else OBJECTS[name]
    return sorted(closure((module, f"{PACKAGE}.stage"), (PACKAGE,)).values())


def closure(modules: Iterable[str], packages: Sequence[str]) -> dict[str, Path]:
    """`modules` and whatever these import of `packages`, directly or not: source files by name of the module."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found[module] = _source(module)
            waiting += _imports(found[module], packages)
    return found


def _imports(source: Path, packages: Sequence[str]) -> list[str]:
    """Modules of `packages` that `source` imports."""
    modules = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in packages:
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith(tuple(f"{p}." for p in packages)):
            modules.append(str(node.module))
    return modules


def _source(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise InputError(f"The module {module} of an object is missing.")
    return Path(spec.origin)


def _title(source: Path) -> str:
    first = source.read_text(encoding="utf-8").lstrip().splitlines()[0]
    return first.strip('"').strip() if first.startswith('"""') else ""
