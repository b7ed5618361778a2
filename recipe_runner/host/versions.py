"""Which versions stand behind a vLLM command: read from what is installed, importing nothing of it."""

import shutil
from pathlib import Path


def versions(client: tuple[str, ...] | None) -> dict[str, str]:
    """The versions of vllm and torch beside the Python that the vLLM command starts."""
    command = shutil.which(client[0]) if client else None
    if command is None:
        return {}
    try:
        with Path(command).open("rb") as script:
            first = script.readline(512).decode(errors="replace")
    except OSError:
        return {}
    interpreter = first.removeprefix("#!").split()
    if not (first.startswith("#!") and interpreter):
        return {}
    prefix = Path(interpreter[0]).parent.parent
    found = {}
    for info in prefix.glob("lib/python3*/site-packages/*.dist-info"):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        found[name] = version
    return found
