"""Finding captures: by path, or by the name of one that ships with the package."""

import difflib
from pathlib import Path

from datasets import nerf_synthetic, store
from datasets.capture import Capture
from datasets.errors import InputError

BUILTIN = Path(__file__).parent / "builtin"


def builtin_names() -> list[str]:
    """Names of the captures that ship with the package."""
    return sorted(path.parent.name for path in BUILTIN.glob(f"*/{store.TRANSFORMS}"))


def open_capture(name_or_path: str | Path) -> Capture:
    """Read the capture in a folder (ours, nerfstudio's or NeRF-synthetic), or a built-in one by its name.

    Raises InputError in one sentence if there is none, or if it is broken.
    """
    text = str(name_or_path)
    root = BUILTIN / text if text in builtin_names() else Path(name_or_path)
    if (root / store.TRANSFORMS).exists():
        return store.read(root)
    if (root / "transforms_train.json").exists():
        return nerf_synthetic.read(root)
    if root.is_dir():
        raise InputError(
            f"The folder {root} holds no capture: neither {store.TRANSFORMS} nor transforms_train.json is there."
        )
    close = difflib.get_close_matches(text, builtin_names(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"known by name: {', '.join(builtin_names()) or 'none'}."
    raise InputError(f"There is no capture {text}: no such folder, and no such name; {hint}")
