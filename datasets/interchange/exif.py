"""What a camera notes of its lens in EXIF: hints, of which those that cannot be true are dropped and told."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, isfinite
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from datasets.capture import Optics

# Beyond these no photograph is taken: mm, f-number, mm.
FOCAL_LENGTHS = (0.5, 3000.0)
F_NUMBERS = (0.4, 256.0)
FOCUS_DISTANCES = (1.0, 1e6)
PIXEL_PITCHES = (2e-4, 1.0)

# Diagonal of the film to which "FocalLengthIn35mmFilm" refers, and mm of the units of the focal plane's resolution.
FILM_DIAGONAL = hypot(36.0, 24.0)
RESOLUTION_UNITS = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}

# Focal lengths and f-numbers of one lens at one setting agree to so much of themselves.
SAME = 0.01


@dataclass(frozen=True)
class Exif:
    """The lens of one photograph, all in mm; None where EXIF says nothing, or nothing that can be true.

    ignored: what it said that cannot be true, a clause each.
    """

    focal_length: float | None = None
    f_number: float | None = None
    focus_distance: float | None = None
    pixel_pitch: float | None = None
    ignored: tuple[str, ...] = ()

    @property
    def known(self) -> dict[str, float]:
        """What is known, by name."""
        values = {name: getattr(self, name) for name in ("focal_length", "f_number", "focus_distance", "pixel_pitch")}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def focal_length_px(self) -> float | None:
        """The pinhole focal length in px: f / pitch, times 1 + m where the focus distance is known too."""
        if self.focal_length is None or self.pixel_pitch is None:
            return None
        if self.focus_distance is None:
            return self.focal_length / self.pixel_pitch
        lens = Optics(self.focal_length, self.f_number or 1.0, self.pixel_pitch).lens(self.focus_distance)
        return lens.focal_length_px


def read(path: Path) -> Exif:
    """What the file `path` says. A file without EXIF, or with a broken one, says nothing."""
    try:
        with Image.open(path) as image:
            size = image.size
            tags = {ExifTags.TAGS.get(tag, tag): value for tag, value in image.getexif().get_ifd(0x8769).items()}
    except Exception:  # whether the photograph itself can be read is for its own reader to say
        return Exif()
    ignored: list[str] = []
    focal = _plausible(tags.get("FocalLength"), FOCAL_LENGTHS, "a focal length of {:g} mm", 1.0, ignored)
    f_number = _plausible(tags.get("FNumber"), F_NUMBERS, "an f-number of {:g}", 1.0, ignored)
    distance = _focus_distance(tags.get("SubjectDistance"), focal, ignored)
    pitch = _pixel_pitch(tags, size, focal, ignored)
    return Exif(focal, f_number, distance, pitch, tuple(ignored))


def optics(photographs: Sequence[Exif]) -> tuple[Optics | None, str | None]:
    """The one lens of all `photographs`, or None and a clause on why not (None where EXIF says nothing at all)."""
    if not any(exif.known for exif in photographs):
        return None, None
    found = []
    for name, words in (("focal_length", "focal length"), ("f_number", "f-number"), ("pixel_pitch", "size of a pixel")):
        values = [exif.known[name] for exif in photographs if name in exif.known]
        if not values:
            return None, f"it does not tell the {words}"
        if max(values) > (1 + SAME) * min(values):
            return None, f"the {words} changes from {min(values):g} to {max(values):g}"
        found.append(sorted(values)[len(values) // 2])
    return Optics(*found), None


def _number(value: Any) -> float | None:
    """A finite number from what Pillow makes of a tag; None if it is none (also 1/0 and 0/0)."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if isfinite(number) else None


def _plausible(value: Any, bounds: tuple[float, float], words: str, unit: float, ignored: list[str]) -> float | None:
    """`value` times `unit` if it lies within `bounds`; else None, and `words` with the number go to `ignored`."""
    if value is None:
        return None
    number = _number(value)
    if number is not None and bounds[0] <= number * unit <= bounds[1]:
        return number * unit
    ignored.append(words.format(float("nan") if number is None else number * unit))
    return None


def _focus_distance(value: Any, focal_length: float | None, ignored: list[str]) -> float | None:
    """mm from metres; 0 means unknown and the largest number infinity, neither of which is worth a word."""
    number = _number(value)
    if value is None or number == 0 or (number is not None and number >= 0xFFFFFFFF / 1000):
        return None
    words = "a subject distance of {:g} mm"
    distance = _plausible(value, FOCUS_DISTANCES, words, 1000.0, ignored)
    if distance is not None and focal_length is not None and distance <= focal_length:
        ignored.append(f"{words.format(distance)}, which is within the focal length,")
        return None
    return distance


def _pixel_pitch(
    tags: dict[Any, Any], size: tuple[int, int], focal_length: float | None, ignored: list[str]
) -> float | None:
    """mm a pixel of this file: from the focal plane's resolution, else from the focal length's equivalent on film."""
    resolution, unit = _number(tags.get("FocalPlaneXResolution")), tags.get("FocalPlaneResolutionUnit", 2)
    words = "a pixel of {:g} mm"
    if resolution and unit in RESOLUTION_UNITS:
        taken = _number(tags.get("ExifImageWidth")) or size[0]  # the file may have been made smaller since
        return _plausible(RESOLUTION_UNITS[unit] / resolution * taken / size[0], PIXEL_PITCHES, words, 1.0, ignored)
    on_film = _number(tags.get("FocalLengthIn35mmFilm"))
    if on_film and focal_length:
        return _plausible(FILM_DIAGONAL * focal_length / on_film / hypot(*size), PIXEL_PITCHES, words, 1.0, ignored)
    return None
