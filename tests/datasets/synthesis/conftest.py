from dataclasses import replace
from pathlib import Path

import pytest

from datasets import store
from datasets.synthesis import catalogue, recipes


@pytest.fixture
def pebble(monkeypatch):
    """A recipe that renders in a second: nine views, 24 px, of tests/.../pebble.py."""
    here = str(Path(__file__).parent)
    monkeypatch.setitem(catalogue.OBJECTS, "pebble", "pebble")
    monkeypatch.setenv("PYTHONPATH", here)
    monkeypatch.syspath_prepend(here)
    return replace(
        recipes.load("seed", "demo"),
        object="pebble",
        size=(24, 24),
        views=9,
        field=1.06,
        lens=recipes.Lens(60.0, 1.6, 8.8),
        samples=recipes.Samples(2, 3),
        allow_unfocused=True,
        linear=True,
    )


@pytest.fixture
def contents():
    """Everything under a folder that must not depend on how often the work was interrupted."""

    def read(root):
        manifest = store.read_json(root / store.MANIFEST)
        manifest.pop("timing")
        files = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        return {**files, store.MANIFEST: manifest}

    return read
