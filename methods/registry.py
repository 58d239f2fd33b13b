"""A small typed registry: names to lazily imported things, with "did you mean" on a wrong name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar

from datasets.errors import InputError


class Named(Protocol):
    @property
    def name(self) -> str: ...


E = TypeVar("E", bound=Named)


class Registry(Generic[E]):
    """Entries of one kind by name, in the order given."""

    def __init__(self, kind: str, entries: Iterable[E] = ()) -> None:
        self.kind = kind
        self._entries: dict[str, E] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: E) -> None:
        """Add `entry`. Raises InputError if its name is taken."""
        if entry.name in self._entries:
            raise InputError(f"There are two {self.kind}s of the name {entry.name}.")
        self._entries[entry.name] = entry

    def __iter__(self) -> Iterator[E]:
        return iter(self._entries.values())

    def names(self) -> list[str]:
        return list(self._entries)

    def get(self, name: str) -> E:
        """The entry called `name`. Raises InputError with the nearest name if there is none."""
        if name not in self._entries:
            raise InputError(f"There is no {self.kind} {name}; {suggestion(name, self.names())}")
        return self._entries[name]


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a wrong name: the nearest known one, or all of them."""
    import difflib  # only where a name is wrong: listing must stay instant

    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}."


def load(target: str) -> Any:
    """Import "package.module:attribute" and return the attribute."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
