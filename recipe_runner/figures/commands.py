"""Commands, flag by flag; of a client's, those that say what is asked of the server."""

from collections.abc import Sequence
from typing import Final

NOT_WORKLOAD: Final = {  # where the server is and what it serves, which prompts it is, where the result goes
    *("command", "--host", "--port", "--url", "--base-url", "--model", "--served-model-name", "--seed"),
    *("--result", "--save-result", "--result-dir", "--result-filename"),
}


def flags(argv: Sequence[str]) -> dict[str, str]:
    """A command's words by the flag that they follow; the program and what it starts are `command`."""
    found: dict[str, list[str]] = {"command": []}
    key = "command"
    for word in argv:
        if word.startswith("--"):
            key, _, value = word.partition("=")
            found.setdefault(key, []).extend([value] if value else [])
        else:
            found[key].append(word)
    return {key: " ".join(words) or "true" for key, words in found.items()}


def asked_by(argv: Sequence[str]) -> dict[str, str]:
    """The flags of a client's command that say what is asked of the server."""
    return {flag: value for flag, value in flags(argv).items() if flag not in NOT_WORKLOAD}
