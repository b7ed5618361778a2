"""The fold: layers of values, one over the other, and where each value that is left came from.

In every layer `null` removes a key, mappings merge, everything else replaces.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from recipe_runner.paths import short

TYPED: Final = "command line"


@dataclass(frozen=True)
class Origin:
    """Where a value came from: the layer's name, and the file (`/path/file.yaml:12`) if it was not typed."""

    layer: str
    source: str

    def __str__(self) -> str:
        return short(self.source)

    @property
    def file(self) -> Path | None:
        return None if self.layer == TYPED else in_file(self.source)

    @property
    def folder(self) -> Path:
        """What a relative path in the value is relative to."""
        return Path() if self.file is None else self.file.parent


@dataclass(frozen=True)
class Layer:
    """Values of one origin; `lines` says where each dotted key stands (`file:line`), `source` where the rest does."""

    name: str
    values: Mapping[str, Any]
    source: str
    lines: Mapping[str, str] = field(default_factory=dict)

    def origin(self, key: str) -> Origin:
        at = key
        while at and at not in self.lines:
            at = at.rpartition(".")[0]
        return Origin(self.name, self.lines.get(at, self.source))

    def files(self) -> set[Path]:
        """Those that it was read from."""
        return {in_file(source) for source in (self.source, *self.lines.values()) if source}


@dataclass(frozen=True)
class Folded:
    """What the layers come to, the origin of each dotted key, and what was typed to be removed but is not there."""

    values: dict[str, Any]
    origins: dict[str, Origin]
    missed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def under(self, layer: Layer) -> "Folded":
        """The same with one more layer over it; this one stays as it is."""
        result = Folded(_copied(self.values), dict(self.origins), dict(self.missed))
        _lay(layer, result.values, layer.values, "", result)
        return result

    def where(self, key: str) -> str:
        """A dotted key as an error names it: with its file and line, if it has one."""
        at = key
        while at and at not in self.origins:
            at = at.rpartition(".")[0]
        origin = self.origins.get(at)
        return f"{key} ({origin})" if origin and origin.layer != TYPED else key


@functools.cache  # asked of every value of each point of a sweep
def in_file(source: str) -> Path:
    """The file of `/path/file.yaml:12`."""
    return Path(re.sub(r":\d+$", "", source))


def fold(layers: Iterable[Layer]) -> Folded:
    """Lay the layers one over the other, in the order given."""
    result = Folded({}, {})
    for layer in layers:
        _lay(layer, result.values, layer.values, "", result)
    return result


def _lay(layer: Layer, below: dict[str, Any], above: Mapping[str, Any], at: str, result: Folded) -> None:
    origins = result.origins
    for key, value in above.items():
        here = f"{at}.{key}" if at else key
        old = below.get(key)
        if isinstance(value, Mapping):
            if not isinstance(old, dict):
                if key in below:
                    _forget(origins, here)
                below[key] = {}
                origins[here] = layer.origin(here)
            _lay(layer, below[key], value, here, result)
            continue
        if key in below:  # what is not there has no origins, and to look for them takes time
            _forget(origins, here)
        if value is None:
            if key not in below and layer.name == TYPED:
                result.missed[here] = tuple(below)
            below.pop(key, None)
        else:
            below[key] = value
            origins[here] = layer.origin(here)


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same mappings anew; what they hold is never changed in place."""
    return {key: _copied(value) if isinstance(value, dict) else value for key, value in values.items()}


def _forget(origins: dict[str, Origin], key: str) -> None:
    for known in [k for k in origins if k == key or k.startswith(f"{key}.")]:
        del origins[known]
