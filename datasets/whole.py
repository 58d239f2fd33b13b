"""A folder that is there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets.errors import InputError


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """An empty folder beside `out` that becomes `out` when the block ends well, and vanishes when it does not.

    Raises InputError if `out` already holds something or cannot be written.
    """
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out} is there already; choose another --out.")
        partial = out.with_name(f".{out.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            yield partial
            os.rename(partial, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}): choose another --out.") from error
