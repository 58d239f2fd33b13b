"""Whose folder is it: the checks, the lock and the plain words around writing into a user's folders.

Work goes on in `<out>.partial/`, which becomes `<out>` in one rename when all is done:

    recipe.json         whose work this is
    object.json         what the worker said of the object it built
    views/NAME.json     a finished view: SHA-256 of each of its files, seconds per pass
    repeat/NAME.png     second photographs, for the noise floor
    capture/            the capture itself, as it grows
    attempt-*/          scratch of the running attempt
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasets import store
from datasets.errors import InputError
from datasets.synthesis.recipes import Recipe


def partial_of(out: Path) -> Path:
    """The work folder of the capture that `out` is to become."""
    return out.with_name(out.name + ".partial")


def is_there(recipe: Recipe, out: Path) -> bool:
    """Whether `out` is the capture of `recipe`, whole.

    Raises InputError if it is anything but that, absent, or empty; names each damaged file.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not (out / store.MANIFEST).is_file():
        raise InputError(f"{out} is there already and is no capture of ours: choose another --out.")
    manifest = store.read_json(out / store.MANIFEST)
    if manifest.get("recipe_hash") != recipe.hash:
        changed = _differences(recipe, manifest.get("recipe"))
        raise InputError(f"{out} holds a capture of another recipe ({changed}): choose another --out.")
    if damage := store.verify(out):
        raise InputError(f"The capture {out} is damaged: {'; '.join(damage)}; delete it to make it anew.")
    partial = partial_of(out)
    if (partial / "recipe.json").is_file() and store.read_json(partial / "recipe.json")["hash"] == recipe.hash:
        shutil.rmtree(partial, ignore_errors=True)  # a run was killed between its rename and its tidying up
    return True


@contextmanager
def claimed(recipe: Recipe, partial: Path) -> Iterator[None]:
    """Hold `partial` as the work folder of `recipe` for this process alone.

    The lock goes with the process, however that ends. A folder in which no view was finished does not stay.
    """
    with locked(partial):
        if not any(partial.iterdir()):
            store.write_json(partial / "recipe.json", {"hash": recipe.hash, "recipe": recipe.as_json()})
        if not (partial / "recipe.json").is_file():
            raise InputError(f"{partial} is there already and is no work of ours: choose another --out.")
        owner = store.read_json(partial / "recipe.json")
        if owner.get("hash") != recipe.hash:
            raise InputError(
                f"{partial} holds the unfinished capture of another recipe "
                f"({_differences(recipe, owner.get('recipe'))}): delete it, or choose another --out."
            )
        for stale in partial.glob("attempt-*"):
            shutil.rmtree(stale, ignore_errors=True)
        for name in ("views", "repeat", "capture"):
            (partial / name).mkdir(exist_ok=True)
        try:
            yield
        except BaseException:
            if not any((partial / "views").iterdir()):
                shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def plain_disk_errors(out: Path) -> Iterator[None]:
    """Turn what the disk under `out` says into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise InputError(f"{out} cannot be written ({error.strerror}): choose another --out.") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or _is_full(out):
            raise _full(out) from error
        raise
    except RuntimeError as error:
        # OpenEXR and Blender report a full disk in words of their own.
        if _is_full(out):
            raise _full(out) from error
        raise


def _differences(recipe: Recipe, other: Any) -> str:
    mine, theirs = recipe.as_json(), other if isinstance(other, dict) else {}
    keys = [key for key in mine if mine[key] != theirs.get(key)]
    shown = [f"{key}: {theirs.get(key)} there, {mine[key]} here" for key in keys[:3]]
    return "; ".join(shown) or "another version of the object or of the synthesizer"


@contextmanager
def locked(partial: Path) -> Iterator[None]:
    """Hold the folder `partial`, made if need be, for this process alone; InputError if another one has it."""
    while True:
        partial.mkdir(parents=True, exist_ok=True)
        folder = os.open(partial, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another run may have finished, and removed the folder, between the opening and the locking.
            if partial.exists() and os.path.samestat(os.fstat(folder), os.stat(partial)):
                yield
                return
        except BlockingIOError:
            raise InputError(f"Another run is writing {partial}: wait for it, or choose another --out.") from None
        finally:
            os.close(folder)


def _is_full(out: Path) -> bool:
    folder = next(path for path in out.absolute().parents if path.exists())
    return shutil.disk_usage(folder).free < 1 << 20


def _full(out: Path) -> InputError:
    return InputError(
        f"The disk of {out} is full: what is finished is kept; make room, and the same command goes on there."
    )
