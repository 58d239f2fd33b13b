"""What a result is said to follow from."""

import ast
from pathlib import Path

from bench import environment


def own_imports(path: Path) -> set[str]:
    """The modules of `bench` that a file imports, as paths in the repository."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "bench":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench."):
            names.add(str(node.module).split(".")[1])
    return {f"bench/{name}.py" for name in names}


def test_whatever_a_job_uses_to_score_is_in_the_hash_of_the_source() -> None:
    used, waiting = set(), {"bench/job.py"}
    while waiting:
        used |= waiting
        waiting = set().union(*(own_imports(environment.ROOT / path) for path in waiting)) - used
    hashed = {
        path.relative_to(environment.ROOT).as_posix() for p in environment.SOURCES for path in environment.ROOT.glob(p)
    }
    assert "bench/kernel_accuracy.py" in used
    assert used - hashed == {"bench/environment.py"}  # describes, and computes nothing
