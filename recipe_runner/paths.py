"""Where things are: shipped data, the person's own files, caches."""

import os
from collections.abc import Callable
from pathlib import Path

from recipe_runner.errors import Fault, RecipeError

PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """The folder `conf` or `recipes`: inside an installed wheel, at the top of a checkout."""
    installed = PACKAGE / "_shipped" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def personal_config() -> Path:
    """The person's own defaults; need not exist."""
    return _xdg("XDG_CONFIG_HOME", ".config") / "recipe-runner" / "config.yaml"


def cache() -> Path:
    """What can be made again at any time: environments."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "recipe-runner"


def state() -> Path:
    """What must outlive a run that is killed: which servers it launched."""
    return _xdg("XDG_STATE_HOME", ".local/state") / "recipe-runner"


def there(path: Path, is_one: Callable[[Path], bool] = Path.is_file) -> bool:
    """Whether there is such a file that we may look at; no, where none could have that name."""
    try:
        return is_one(path)
    except OSError:
        return False


def typed(text: str) -> Path:
    """A path that a person typed; there need be nothing yet.

    Raises:
        RecipeError: there can be nothing, or we may not look at it.

    """
    try:
        Path(text, "..").stat()  # so that of a folder it is asked whether what is in it can be looked at, too
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise RecipeError(Fault(text[:80], f"this cannot be looked at: {why}", "check the path")) from exc
    return Path(text)


def short(path: Path | str) -> str:
    """A path as a person would write it: relative to here, or to the package's data."""
    path = Path(path)
    for root in (*_here(), PACKAGE / "_shipped", PACKAGE.parent):
        if path.is_relative_to(root):
            return str(path.relative_to(root))
    return str(path)


def _here() -> list[Path]:
    try:
        return [Path.cwd()]
    except FileNotFoundError:  # it was removed while we were in it
        return []


def _xdg(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default)
