"""Commands, flag by flag; of a client's, those that say what is asked of the server."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

COMMAND: Final = "command"
NOT_WORKLOAD: Final = {  # where the server is and what it serves, which prompts it is, where the result goes
    *(COMMAND, "--host", "--port", "--url", "--base-url", "--model", "--served-model-name", "--seed"),
    *("--result", "--save-result", "--result-dir", "--result-filename"),
}


def flags(argv: Iterable[str], model: str = "") -> dict[str, list[str]]:
    """A command's words by the flag that they follow; the program, what it starts and the `model` are `command`."""
    found: dict[str, list[str]] = {COMMAND: []}
    key = COMMAND
    for word in argv:
        if word == model and word not in found[COMMAND]:  # the first time; later it may be a name that is served
            found[COMMAND].append(word)
            key = COMMAND
        elif word.startswith("--"):
            key, given, value = word.partition("=")
            found.setdefault(key, []).extend([value] if given else [])
        else:
            found[key].append(word)
    return found


def settings(argv: Iterable[str], model: str = "") -> dict[str, str]:
    """The same as text; a flag without a value is `true`."""
    return {flag: " ".join(values) or "true" for flag, values in flags(argv, model).items()}


def asked_by(argv: Iterable[str]) -> dict[str, str]:
    """The flags of a client's command that say what is asked of the server."""
    return {flag: value for flag, value in settings(argv).items() if flag not in NOT_WORKLOAD}


def served(model: Mapping[str, Any], clients: Iterable[Sequence[str]]) -> str:
    """The model as commands have it: its folder or name, or, of a report, which has neither, what clients were told."""
    told = (settings(argv).get("--model") for argv in clients)
    return str(model.get("path") or model.get("id") or next(filter(None, told), ""))
