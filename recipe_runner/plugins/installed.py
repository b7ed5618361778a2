"""What installed distributions offer by their entry points; all of it is found without importing any of it."""

import contextlib
import functools
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import Any, Final

OURS: Final = "recipe-runner"
PREFIX: Final = "recipe_runner."


@dataclass(frozen=True)
class Installed:
    """What a distribution offers under a name: a module, `a.b`, or a class in one, `a.b:C`.

    `root` is where the distribution's files are, unless it is installed for its authors to edit.
    """

    name: str
    place: str
    distribution: str
    version: str
    root: Path

    @property
    def origin(self) -> str:
        """Where it comes from, as a person calls that."""
        return OURS if self.distribution == OURS else f"{self.distribution} {self.version}"

    @property
    def cure(self) -> str:
        return f"mend or update {self.distribution}, or remove it: `pip uninstall {self.distribution}`"

    def load(self) -> Any:
        return EntryPoint(self.name, self.place, "").load()

    def source(self) -> Path | None:
        """The file of the module."""
        files = (file for path in self._paths() for file in (path.with_suffix(".py"), path / "__init__.py"))
        return next((file for file in files if file.is_file()), None)

    def folder(self) -> Path | None:
        """The folder of the package."""
        return next((path.resolve() for path in self._paths() if path.is_dir()), None)

    def _paths(self) -> Iterator[Path]:
        """Where the module may be, without a suffix. Python would import the package that it is in to say so."""
        top, *rest = self.place.partition(":")[0].split(".")
        if not all(map(str.isidentifier, (top, *rest))):
            return
        yield self.root.joinpath(top, *rest)
        if spec := importlib.util.find_spec(top):
            where = spec.submodule_search_locations or [str(Path(spec.origin or "").with_suffix(""))]
            yield from (Path(folder).joinpath(*rest) for folder in where)


@functools.cache
def groups() -> Mapping[str, tuple[Installed, ...]]:
    """All that is offered, by its group; of two distributions of one name, the one that Python takes."""
    found: dict[str, list[Installed]] = {}
    seen = set()
    for distribution in distributions():
        with contextlib.suppress(Exception):  # the files of a distribution that somebody else made
            if PREFIX in (distribution.read_text("entry_points.txt") or "") and distribution.name not in seen:
                seen.add(distribution.name)
                for group, one in _offers(distribution):
                    found.setdefault(group, []).append(one)
    return {group: tuple(sorted(ones, key=_by_name)) for group, ones in found.items()}


def _offers(distribution: Distribution) -> Iterable[tuple[str, Installed]]:
    root = Path(str(distribution.locate_file("")))
    for point in distribution.entry_points:
        if point.group.startswith(PREFIX):
            group = point.group.removeprefix(PREFIX)
            yield group, Installed(point.name, point.value, distribution.name, distribution.version, root)


def _by_name(one: Installed) -> tuple[str, bool, str]:
    """Ours first, among those of one name."""
    return one.name, one.distribution != OURS, one.distribution
