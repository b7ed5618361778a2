"""What it means to a person when the Hugging Face hub refuses, does not answer, or may not be asked."""

import errno
import os
import re
from typing import Any, Final

from recipe_runner.model.weights import Problem, hub_cache
from recipe_runner.serialize import safe_line

LOGIN: Final = "`hf auth login`, or set HF_TOKEN"
LOCAL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def endpoint() -> str:
    """The address of the hub, or of a mirror."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def page(model_id: str) -> str:
    """Where a person reads about the model."""
    return shown(f"{endpoint()}/{model_id}")


def offline(model_id: str) -> Problem | None:
    """Whether the environment forbids asking the hub for a model that is not here."""
    said = [name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if os.environ.get(name)]
    if not said or os.environ[said[0]].upper() not in ("1", "ON", "YES", "TRUE"):
        return None
    what = f"{model_id} is not in {hub_cache()}, and {said[0]} forbids asking the hub"
    return Problem("offline", what, f"unset {said[0]}, or copy the model there, or name its folder with model.path")


def problem(exc: Exception, model_id: str, revision: str | None) -> Problem | None:
    """What an exception of huggingface_hub means to a person; None if it is not the hub's, but a bug."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    response = getattr(exc, "response", None)
    if response is not None:
        return _refused(response.status_code, response.headers, model_id, revision)
    if isinstance(exc, HFValidationError):
        return Problem("missing", f"{model_id!r} is not a name that a model can have", "write it as owner/name")
    if isinstance(exc, LocalEntryNotFoundError) and isinstance(exc.__cause__, Exception):
        return problem(exc.__cause__, model_id, revision)
    if isinstance(exc, OSError) and exc.errno in LOCAL:
        what = f"{hub_cache()} cannot be written: {os.strerror(exc.errno)}"
        return Problem("disk", what, "make room there, or name another folder with HF_HOME")
    if isinstance(exc, HfHubHTTPError.__bases__):  # what its HTTP library raises, and OSError
        return Problem("network", f"{shown(endpoint())} cannot be reached: {reason(exc)}", network())
    return None


def reason(exc: Exception) -> str:
    """An exception's text on one line, without our token and without passwords in addresses."""
    from huggingface_hub import get_token

    text, token = str(exc) or type(exc).__name__, get_token()
    return safe_line(shown(text.replace(token, "•••") if token else text), 200)


def _refused(status: int, headers: Any, model_id: str, revision: str | None) -> Problem:
    """What an answer of the hub means that is not 200. A 401 without a token is all that a stranger is told."""
    from huggingface_hub import get_token

    code, token = headers.get("X-Error-Code"), get_token() is not None
    if code == "RevisionNotFound":
        what = f"{model_id} has no revision {revision or 'main'}"
        return Problem("revision", what, f"choose a branch, tag or commit from {page(model_id)}/tree/main")
    if code == "GatedRepo" and not token:
        do = f"accept its terms at {page(model_id)}, then {LOGIN}"
        return Problem("gated", f"{model_id} is gated, and there is no token", do)
    if code == "GatedRepo" or (status == 403 and token):
        what = f"{model_id} is gated, and this token has no access" if code else f"this token may not read {model_id}"
        do = f"ask for access at {page(model_id)}; a fine-grained token must also be allowed to read such models"
        return Problem("gated", what, do)
    if status == 401 and token:
        do = f"make another at {shown(endpoint())}/settings/tokens, then {LOGIN}"
        return Problem("token", "the hub does not accept this token", do)
    if status in (401, 403, 404):
        private = "a private one looks the same to a token without access"
        do = private if token else f"a private one looks the same without a token: {LOGIN}"
        return Problem("missing", f"there is no model {model_id} at {shown(endpoint())}", f"check the name; {do}")
    do = "wait a minute; with a token the limit is higher" if status == 429 else "try again later"
    return Problem("network", f"{shown(endpoint())} answered {status} for {model_id}", do)


def nonsense(model_id: str) -> Problem:
    what = f"{shown(endpoint())} answered something else than a description of {model_id}"
    return Problem("network", what, network())


def network() -> str:
    return "check the network, HF_ENDPOINT and HTTPS_PROXY, or name the folder of the model with model.path"


def shown(url: str) -> str:
    """An address without the name and password that may be in it."""
    return re.sub(r"//[^/@]*@", "//", url)
