"""Photographs as cameras and phones leave them: which there are, what they are called, their pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.color import linear_to_srgb, srgb_to_linear, to_uint8
from datasets.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")


def find(folder: Path) -> list[Path]:
    """The photographs in `folder` itself, by name. Raises InputError if it is no folder or holds none."""
    found = listed(folder)
    if not found:
        raise InputError(f"The folder {folder} holds no photographs ({', '.join(SUFFIXES)}).")
    return found


def listed(folder: Path) -> list[Path]:
    """As `find`, but a folder may hold none."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def view_names(paths: Sequence[str]) -> list[str]:
    """What views are called, from relative `paths` of their photographs. Raises InputError if two would be the same."""
    found: dict[str, str] = {}
    for path in paths:
        name = Path(path).with_suffix("").as_posix().strip("./").replace("../", "").replace("/", "_")
        if name in found:
            raise InputError(f"The photographs {found[name]} and {path} would both be called {name}: rename one.")
        found[name] = path
    return list(found)


def read(path: Path) -> np.ndarray:
    """[H, W, 3] uint8 sRGB, pixels in the order of the file whatever its EXIF says of turning; 16 bits become 8.

    Transparent is black. Raises InputError naming the file if it is missing, damaged, or no such image.
    """
    pixels = _decoded(path, "RGBA")
    return pixels[:, :, :3] if (pixels[:, :, 3] == 255).all() else masked(pixels[:, :, :3], pixels[:, :, 3])


def read_size(path: Path) -> tuple[int, int]:
    """(width, height) in px, from the header. Raises InputError naming the file."""
    with _opened(path) as image:
        return image.size


def masked(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`image` [H, W, 3] uint8 sRGB before black, of the coverage `mask` [H, W] uint8; they mix as light does."""
    light = srgb_to_linear(image / np.float32(255)) * (mask[:, :, None] / np.float32(255))
    return np.where(mask[:, :, None] == 255, image, to_uint8(linear_to_srgb(light)))


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """[H, W] uint8, 255 on the object. Raises InputError if it is not of `size` (width, height), or all black."""
    mask = _decoded(path, "L")
    if mask.shape != (size[1], size[0]):
        raise InputError(
            f"The mask {path} is {mask.shape[1]} x {mask.shape[0]} px, but its photograph is {size[0]} x {size[1]}."
        )
    if not mask.any():
        raise InputError(f"The mask {path} is black all over: nothing of its photograph would be left.")
    return mask


def find_mask(folder: Path, photograph: str) -> Path:
    """The mask in `folder` of a photograph of relative path `photograph`: NAME.png, or as COLMAP has it NAME.jpg.png.

    Raises InputError if there is none.
    """
    bare = Path(photograph).with_suffix("")
    for name in (f"{photograph}.png", *(f"{bare}{suffix}" for suffix in SUFFIXES)):
        for path in (folder / name, folder / Path(name).name):
            if path.is_file():
                return path
    raise InputError(f"The folder {folder} holds no mask of the photograph {photograph} ({bare.name}.png).")


def _opened(path: Path) -> Image.Image:
    if not path.is_file():
        raise InputError(f"The photograph {path} is missing.")
    try:
        return Image.open(path)
    except Exception as error:  # Pillow raises many kinds
        raise InputError(f"The photograph {path} cannot be read ({_reason(error)}).") from None


def _decoded(path: Path, mode: str) -> np.ndarray:
    with _opened(path) as image:
        try:
            if image.mode.startswith("I;16"):  # Pillow would clip it
                image = Image.fromarray((np.asarray(image) / 257 + 0.5).astype(np.uint8))
            if image.mode in ("I", "F"):
                raise InputError(f"The photograph {path} is neither of 8 nor of 16 bits.")
            return np.asarray(image.convert(mode))
        except InputError:
            raise
        except Exception as error:  # a file that ends early, a broken stream
            raise InputError(f"The photograph {path} cannot be read ({_reason(error)}).") from None


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
