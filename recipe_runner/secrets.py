"""Secrets stay in the environment: refused where files would hold them, masked where text would show them."""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from recipe_runner.errors import Fault

MASK: Final = "***"
KEY: Final = "VLLM_API_KEY"  # vLLM's own variable: a server that inherits it asks for the key
TOKENS: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
INHERITED: Final = ("VLLM_", "NCCL_", "CUDA_", "HF_", "TORCH")
EVERYWHERE: Final = (None, "", "0.0.0.0", "::", "[::]", "*")
HELD: Final = "a secret does not belong here: plans and reports would show it"
SHORT: Final = 8  # a secret shorter than this is masked as a word of its own only
HALF: Final = 256  # characters at a cut that may be half of what only looks like a secret

SECRET_NAME: Final = re.compile(r"(?:^|_)(?:KEY|TOKEN)$|ACCESS_KEY|SECRET|PASSWORD|PASSWD", re.I)
NAMED: Final = (
    r"(?:(?:api|access|secret|private)[-_]?key|(?:hf|access|auth|api|bearer|refresh|session)[-_]token"
    r"|secret|password|passwd)"
)
# among a model's settings are many that end in _token and _key and are none, so there only these names count
SECRET_FLAG: Final = re.compile(rf"{NAMED}$|secret|password|passwd", re.I)
PUBLIC: Final = re.compile(r"(?i)|[01]|true|false|yes|no|on|off|none|null")
LOOKS: Final = re.compile(r"\bhf_[A-Za-z0-9]{16,}\b|\bsk-[A-Za-z0-9_-]{16,}")
NOT_YET: Final = r"(?!(?:None|null|True|False)\b|\*\*\*)"
SENT: Final = r"authorization\b['\"]?\s*[:=,]\s*+(?:b(?=['\"]))?+['\"]?+"
SCHEME: Final = r"(?:bearer|basic|token|digest|negotiate)\s+"
WORD: Final = r"[^\s'\",;)}\]]+"
SHOWN: Final = (
    (LOOKS, MASK),
    (re.compile(rf"(?i)({SENT}{SCHEME}){WORD}"), rf"\1{MASK}"),
    # the first of two words may be a scheme that we do not know
    (re.compile(rf"(?i)({SENT})(?!{SCHEME}|\*\*\*){WORD}(?:[ \t]+{WORD})?"), rf"\1{MASK}"),
    (re.compile(r"(\b[Bb]earer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)({NAMED}['\"]?\s*[:=]\s*)\[[^\]]*\]?"), rf"\1[{MASK}]"),
    (
        re.compile(rf"(?i)({NAMED}['\"]?+(?:\s*+[:=]\s*+|\s++(?=['\"]))\[?+['\"]?+){NOT_YET}{WORD}"),
        rf"\1{MASK}",
    ),
    (re.compile(rf"(--(?:api-key|hf-token)[\s=]+){NOT_YET}(?!-)\S+(?:\s+(?!-)\S+)*"), rf"\1{MASK}"),
    (re.compile(r"(://)[^\s/@'\"]+@"), rf"\1{MASK}@"),
)


def refused(
    serve: Mapping[str, Any], env: Mapping[str, str], sections: Mapping[str, Mapping[str, Any]]
) -> Iterator[Fault]:
    """What a recipe, or a command line, must not hold: it would stand in plans, reports and the list of processes.

    `sections` are those of checks and of benchmarks, by name.
    """
    blocks = {f"{section}.{name}": block for section, named in sections.items() for name, block in named.items()}
    for where in (where for at, block in blocks.items() for where in _in_block(at, block)):
        yield Fault(where, HELD, f"take it away; the client sends {KEY} of the environment")
    for key, value in serve.items():
        for where in _secret_flags(key, value):
            variable = {"api_key": KEY, "hf_token": TOKENS[0]}.get(where)
            do = f"set {variable} in the environment" if variable else "take it away, and pass it in the environment"
            yield Fault(f"serve.{where}", HELD, do)
    for name, value in env.items():
        if (SECRET_NAME.search(name) and not PUBLIC.fullmatch(value)) or LOOKS.search(value):
            yield Fault(f"env.{name}", HELD, f"set {name} in your environment; the server inherits it")


def _in_block(at: str, block: Any) -> Iterator[str]:
    """The dotted places in a check or a benchmark that hold a secret; headers are among a command's further flags."""
    found = dict.fromkeys(_secret_flags(at, block) if isinstance(block, Mapping) else ())
    extra = block.get("extra_args") if isinstance(block, Mapping) else None
    for flag, value in extra.items() if isinstance(extra, Mapping) else ():
        if any(mask(str(text), {}) != str(text) for text in (value if isinstance(value, list) else [value])):
            found[f"{at}.extra_args.{flag}"] = None
    yield from found


def _secret_flags(at: str, value: Any) -> Iterator[str]:
    """The dotted places in a flag's value that hold a secret."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secret_flags(f"{at}.{key}", inner)
    elif isinstance(value, list):
        yield from dict.fromkeys(place for each in value for place in _secret_flags(at, each))
    elif isinstance(value, str):
        named = SECRET_FLAG.search(at.rpartition(".")[2].replace("-", "_"))
        if LOOKS.search(value) or (named and not PUBLIC.fullmatch(value)):
            yield at


def mask(text: str, environ: Mapping[str, str]) -> str:
    """A text without the secrets of the environment, and without what looks like one."""
    for value in sorted(_values(environ), key=len, reverse=True):
        pattern = re.escape(value)
        text = re.sub(pattern if len(value) >= SHORT else rf"(?<!\w){pattern}(?!\w)", MASK, text)
    for shown, instead in SHOWN:
        text = shown.sub(instead, text)
    return text


def beginning(text: str, most: int, environ: Mapping[str, str]) -> str:
    """How a text begins: masked before it is cut, so that no half of a secret is left."""
    half = _half(environ)
    seen = text[: most + 2 * half]  # to mask all of it would take seconds, if it is an answer of many MiB
    shown = mask(seen, environ) if len(seen) == len(text) else mask(seen, environ)[:-half] + "…"
    return shown if len(shown) <= most else f"{shown[:most]}…"


def ending(text: str, most: int, environ: Mapping[str, str]) -> str:
    """How a text ends that was cut already, so that it may begin with half of a secret."""
    half = _half(environ)
    return mask(text[-most - half :], environ)[half:]


def _half(environ: Mapping[str, str]) -> int:
    """How many characters at a cut may be half of a secret."""
    return max(HALF, *map(len, _values(environ)), 0)


def _values(environ: Mapping[str, str]) -> set[str]:
    """The secrets in the environment, also as JSON and URLs spell them."""
    plain = {v.strip() for name, v in environ.items() if SECRET_NAME.search(name) and not PUBLIC.fullmatch(v.strip())}
    return plain | {json.dumps(value)[1:-1] for value in plain} | {quote(value, safe="") for value in plain}


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a server inherits and that change what it does, by name; secrets masked."""
    return {
        name: MASK if SECRET_NAME.search(name) and not PUBLIC.fullmatch(value) else mask(value, environ)
        for name, value in sorted(environ.items())
        if name.startswith(INHERITED)
    }


def exposed(host: str | None, environ: Mapping[str, str]) -> str | None:
    """What to say of a server that anybody who reaches this machine could use."""
    if host not in EVERYWHERE or environ.get(KEY):
        return None
    return f"the server listens on all interfaces, and asks for no key; set {KEY}, or serve.host=127.0.0.1"


def may_send_key(url: str, trust: bool) -> Fault | None:
    """What speaks against sending a key there: others on the network could read it."""
    try:
        parts = urlsplit(url)
        if trust or parts.scheme == "https" or _loopback(parts.hostname or ""):
            return None
    except ValueError:  # an address that is none
        pass
    what = f"the key would go over the network readable, to {mask(url, {})}"
    return Fault("engine.url", what, "use https://, or a tunnel to 127.0.0.1; --trust sends it all the same")


def _loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
