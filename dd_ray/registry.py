"""Explicit tables of named specs, and loading what a spec names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar

from dd_ray.errors import ApiError


class Named(Protocol):
    """Anything that can stand in a table."""

    @property
    def name(self) -> str: ...


S = TypeVar("S", bound=Named)


class Registry(Generic[S]):
    """A table of specs in the order they were written.

    `missing` is the error class of an unknown name, `aliases` other spellings of a name.
    """

    def __init__(
        self,
        specs: Iterable[S],
        *,
        missing: Callable[[str], ApiError],
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._aliases = dict(aliases or {})
        self._missing = missing

    def find(self, name: str) -> S:
        """The spec of that name; raises the table's error, which lists the known names."""
        spec = self._specs.get(self._aliases.get(name, name))
        if spec is None:
            raise self._missing(f"{name!r}, expected one of {', '.join(self.names())}")
        return spec

    def names(self) -> list[str]:
        return list(self._specs)

    def __contains__(self, name: str) -> bool:
        return self._aliases.get(name, name) in self._specs

    def __iter__(self) -> Iterator[S]:
        return iter(self._specs.values())


def load(target: str) -> Any:
    """The object that `"package.module:attribute"` names, imported on first use."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
