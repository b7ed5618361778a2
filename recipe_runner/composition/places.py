"""Where relative paths and modules are looked for: beside the file in which they are written."""

from dataclasses import dataclass
from pathlib import Path

from recipe_runner.composition.layers import TYPED, Folded
from recipe_runner.composition.lock import LAYER, Lock, beside
from recipe_runner.composition.trust import own
from recipe_runner.errors import Fault, RecipeError


@dataclass(frozen=True)
class Places:
    """Where the values of one request lead; those of a lock also to where its recipe was."""

    folded: Folded
    lock: Lock | None
    trust: bool

    def folders(self, key: str) -> list[Path]:
        """Where a module that is named there may be, before those that Python knows."""
        origin = self.folded.origins.get(key)
        if origin is None:
            return []
        if self.lock is None or not self.lock.wrote(origin):
            return [origin.folder]
        return self.lock.folders(origin, trusted=self.trust or own(origin))

    def whence(self, key: str, value: str) -> tuple[Path, bool]:
        """The folder that a path is relative to, and whether the path must stay in it.

        Raises:
            RecipeError: it would lead where a lock may not look.

        """
        origin = self.folded.origins[key]
        if self.lock is None or not self.lock.wrote(origin):
            return origin.folder, origin.layer != TYPED
        trusted = self.trust or own(origin)
        folders = self.lock.folders(origin, trusted=trusted)
        found = beside(folders, value)
        if found is None and not (trusted or self.lock.homes):
            what = f"{value} is not beside the lock, and {Path(self.lock.block.file).parent} is not a folder of recipes"
            raise RecipeError(Fault(f"{key} ({origin})", what, "copy it there, or read the lock, then say --trust"))
        return found or folders[0], not (trusted and origin.layer == LAYER)
