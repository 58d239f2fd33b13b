"""Image files: 8-bit PNG through OpenCV, float EXR through OpenEXR. Arrays are RGB, rows from the top."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np

from datasets.errors import InputError


def read_png(path: Path) -> np.ndarray:
    """[H, W, C] uint8 with C = 3 (RGB) or 4 (RGBA), or [H, W] for gray. Raises InputError naming the file."""
    if not path.is_file():
        raise InputError(f"The image {path} is missing.")
    try:
        image = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, OSError):  # an empty file, a header that claims more pixels than OpenCV takes, no permission
        image = None
    if image is None:
        raise InputError(f"The image {path} cannot be read as a PNG; it may be truncated or damaged.")
    if image.dtype != np.uint8:
        raise InputError(f"The image {path} is not 8-bit ({image.dtype}).")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return image


def read_rgb(path: Path, camera_size: tuple[int, int] | None = None) -> np.ndarray:
    """[H, W, 3] uint8; gray becomes RGB. `camera_size` (width, height) is enforced where given."""
    image = read_png(path)
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    if image.shape[2] != 3:
        raise InputError(f"The image {path} has an alpha channel where plain RGB is expected.")
    check_size(image, path, camera_size)
    return image


def check_size(image: np.ndarray, path: Path, camera_size: tuple[int, int] | None) -> None:
    """Raise InputError if `image` is not of the camera's (width, height)."""
    if camera_size is not None and (image.shape[1], image.shape[0]) != camera_size:
        raise InputError(
            f"The image {path} is {image.shape[1]} x {image.shape[0]} px, but its camera says "
            f"{camera_size[0]} x {camera_size[1]}."
        )


def write_png(path: Path, image: np.ndarray) -> None:
    """Write [H, W], [H, W, 3] or [H, W, 4] uint8. Raises OSError if the file cannot be written whole."""
    if image.dtype != np.uint8:
        raise TypeError(f"write_png takes uint8, not {image.dtype}")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    path.write_bytes(encoded.tobytes())


def read_exr(path: Path, channels: str = "Y") -> np.ndarray:
    """[H, W] for "Y", [H, W, C] for several channels, float32. Raises InputError naming the file."""
    import OpenEXR

    if not path.is_file():
        raise InputError(f"The image {path} is missing.")
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            planes = [np.asarray(file.channels()[name].pixels, dtype=np.float32) for name in channels]
    except Exception as error:  # the binding raises bare RuntimeErrors
        raise InputError(f"The image {path} cannot be read as an EXR; it may be truncated or damaged.") from error
    return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


def write_exr(path: Path, image: np.ndarray, channels: str = "Y") -> None:
    """Write [H, W] or [H, W, C] as it is typed (float32 or float16), compressed without loss.

    Raises OSError if the file cannot be written whole.
    """
    import OpenEXR

    planes = image[:, :, None] if image.ndim == 2 else image
    if planes.shape[2] != len(channels):
        raise TypeError(f"write_exr takes {len(channels)} planes for channels {channels}, not {planes.shape[2]}")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    data = {name: np.ascontiguousarray(planes[:, :, i]) for i, name in enumerate(channels)}
    encoded = io.BytesIO()  # OpenEXR itself says nothing of a disk that fills up with its last bytes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        OpenEXR.File(header, data).write(encoded)
    path.write_bytes(encoded.getvalue())
