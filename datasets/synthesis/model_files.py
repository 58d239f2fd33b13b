"""Files of the user's own models: which kinds there are, what else they name, and the hash of all of it."""

import hashlib
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from datasets.errors import InputError

FORMATS = ("glb", "gltf", "obj", "ply", "stl", "fbx", "usd", "usda", "usdc", "usdz", "blend")

# Lines of an .mtl that name a picture, and the options that may stand before its name.
_MAP = re.compile(rb"^\s*(?:map_\w+|bump|norm|refl|disp)\s+(.+)$", re.IGNORECASE)
_OPTION = re.compile(r"^-(?:[ost](?:\s+-?[\d.]+){1,3}|mm(?:\s+-?[\d.]+){2}|[a-z]+\s+\S+)\s+", re.IGNORECASE)


def content(path: Path, own: bool) -> str:
    """SHA-256 over a model's file and, of OBJ and glTF, the files beside it that it names, by name and content.

    These are the .mtl and its pictures, or the buffers and pictures. `own`: the model is to be shown in its own
    materials, so that an .mtl or a picture of glTF that is missing is an error, and else of no account.

    Raises InputError in one sentence if there is no such file, or none of a kind that Blender imports.
    """
    if path.suffix.lower().lstrip(".") not in FORMATS:
        kinds = ", ".join(FORMATS)
        raise InputError(f"The model {path} is of no kind that can be imported; known are {kinds}.")
    if path.is_dir():
        raise InputError(f"The model {path} is a folder: name the file in it.")
    if not path.exists():
        raise InputError(f"The model {path} does not exist.")
    try:
        named = {path.name: path, **dict(_named(path, own))}
        return _digest({name: _sha256(file) for name, file in named.items()})
    except OSError as error:
        raise InputError(f"The model {path} cannot be read ({error.strerror}: {error.filename}).") from None


def _digest(hashes: dict[str, str]) -> str:
    lines = "".join(f"{name} {hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(path: Path, own: bool) -> Iterator[tuple[str, Path]]:
    """Names in a file, as they are written, and the files that they stand for."""
    kind = path.suffix.lower()
    if kind == ".obj":
        yield from _named_by_obj(path, own)
    if kind in (".gltf", ".glb"):
        yield from _named_by_gltf(path, own)


def _named_by_obj(path: Path, own: bool) -> Iterator[tuple[str, Path]]:
    with path.open("rb") as file:
        libraries = {_text(line[7:]).strip('"') for line in file if line[:7] in (b"mtllib ", b"mtllib\t")}
    beside = path.with_suffix(".mtl")
    if beside.is_file():
        libraries.add(beside.name)  # which Blender reads whether it is named or not
    for name in sorted(libraries):
        library = path.parent / name
        if library.is_file():
            yield name, library
            yield from _named_by_mtl(library)
        elif own and not beside.is_file():
            raise InputError(
                f"The model {path} names the materials {name}, which are not there: put them there, or take "
                "--texture fractal."
            )


def _named_by_mtl(library: Path) -> Iterator[tuple[str, Path]]:
    for line in library.read_bytes().splitlines():
        if not (match := _MAP.match(line)):
            continue
        name = _text(match[1])
        while (shorter := _OPTION.sub("", name)) != name:
            name = shorter
        # Blender looks for a picture where it is said to be, and then, under its bare name, beside the .mtl.
        plain = name.replace("\\", "/")
        for picture in (library.parent / plain, library.parent / Path(plain).name):
            if picture.is_file():
                yield name, picture
                break


def _named_by_gltf(path: Path, own: bool) -> Iterator[tuple[str, Path]]:
    document = _gltf(path)
    for key, needed in (("buffers", True), ("images", own)):
        for item in document.get(key) or []:
            uri = item.get("uri")
            if not isinstance(uri, str) or uri.startswith("data:"):
                continue
            file = path.parent / unquote(uri)
            if file.is_file():
                yield uri, file
            elif needed:
                raise InputError(f"The model {path} names the file {uri}, which is not there.")


def _gltf(path: Path) -> dict[str, Any]:
    try:
        if path.suffix.lower() == ".glb":
            with path.open("rb") as file:
                header = file.read(20)  # magic, version and length of the file; length and type of its first chunk
                if header[:4] != b"glTF" or len(header) < 20:
                    raise ValueError("it has no header of a GLB")
                document = json.loads(file.read(struct.unpack("<I", header[12:16])[0]))
        else:
            document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"The model {path} is damaged or no glTF ({error}).") from None
    if not isinstance(document, dict) or not all(
        isinstance(item, dict) for key in ("buffers", "images") for item in document.get(key) or []
    ):
        raise InputError(f"The model {path} is damaged or no glTF (its JSON holds something else).")
    return document


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape").strip()
