"""A class by its place, `module:Class`: beside the recipe that names it, or where Python looks."""

import contextlib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from recipe_runner.paths import short


class Missing(LookupError):
    """A module that has no such class; `classes` are those that are written in it."""

    def __init__(self, module: ModuleType, named: str, cls: str) -> None:
        super().__init__(f"there is no {cls} in {named}")
        self.cls = cls
        self.classes = [
            key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        ]


def load(place: str, beside: Iterable[Path]) -> object:
    """`module:Class`, beside the recipe; or where Python looks, the folder we are in first, as `python -m` does."""
    name, _, cls = place.partition(":")
    parts = name.split(".")
    files = (folder.resolve().joinpath(*parts).with_suffix(".py") for folder in beside)
    file = next((file for file in files if all(map(str.isidentifier, parts)) and file.is_file()), None)
    if file is None and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    module = _from_file(file, parts) if file else importlib.import_module(name)
    try:
        return getattr(module, cls)
    except AttributeError:
        raise Missing(module, name, cls) from None


def cure(place: str) -> str:
    """What to do about a place that nothing can be loaded from."""
    return f"write {place.replace('.py:', ':')}" if ".py:" in place else "correct the name, or the module"


def instead(name: str, beside: Iterable[Path]) -> str | None:
    """What to write instead of a name that no plugin has, where a module of that name is there."""
    head, _, tail = name.rpartition(".")
    for module, cls in ((name, "CLASS"), (head, tail)):
        parts = module.split(".")
        with contextlib.suppress(OSError):  # a name that is too long
            files = (folder.joinpath(*parts).with_suffix(".py") for folder in (*beside, Path()))
            if all(map(str.isidentifier, parts)) and any(file.is_file() for file in files):
                return f"write {module}:{cls}"
    return None


def looked(exc: BaseException, place: str, beside: Iterable[Path]) -> str:
    """Where a module was looked for, if it is the one that was named that is missing."""
    if not isinstance(exc, ModuleNotFoundError) or not place.replace(":", ".").startswith(f"{exc.name}."):
        return ""
    places = "".join(f"{name}, " for folder in beside if (name := short(folder)) != ".")
    return f" (looked for in {places}the folder you are in, and where Python looks)"


def _from_file(file: Path, parts: list[str]) -> ModuleType:
    """The module in a file, under a name of that file's own: another recipe may have one of the same name beside it."""
    name = f"{'_'.join(parts)}_{hashlib.sha256(bytes(file)).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with _searched_first(file.parents[len(parts) - 1]):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def _searched_first(folder: Path) -> Iterator[None]:
    """What is imported meanwhile is looked for there, and is found there by nobody else."""
    before = {*sys.modules}
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in sys.modules.keys() - before:
            top = name.partition(".")[0]
            file = Path(getattr(sys.modules[name], "__file__", None) or "")
            if file in (folder / f"{top}.py", folder / top / "__init__.py") or file.is_relative_to(folder / top):
                del sys.modules[name]
