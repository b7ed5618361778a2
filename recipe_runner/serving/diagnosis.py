"""Why a server failed, in one sentence: what a line of its log means, and what to do about it.

What such lines mean stands in rules: a recipe's own under `diagnosis:`, ours in `conf/diagnosis/`. The first rule that
matches wins, the recipe's before ours, ours by the names of their files; its first match is the line that proves it.
So what tells most stands first, and what other processes say after the first of them failed comes last.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from recipe_runner.composition.schema import FIELD, Rule
from recipe_runner.composition.yamlfile import read
from recipe_runner.errors import Fault
from recipe_runner.paths import shipped
from recipe_runner.serialize import one_line
from recipe_runner.serving import matching
from recipe_runner.serving.serverlog import Line, failure_lines

LIMIT_S: Final = 5.0
FIELD_WIDE: Final = 120
PROOF_WIDE: Final = 600  # vLLM puts figures at the end of long sentences


@dataclass(frozen=True)
class Diagnosis:
    """Which rule matched which line, and what it says of it."""

    rule: str
    cause: str
    cure: str
    line: str

    def as_dict(self) -> dict[str, str]:
        return {"sentence": f"{self.cause}; {self.cure}", **asdict(self)}


def rules() -> dict[str, Rule]:
    """Those that ship with us, in the order in which they are tried."""
    files = sorted(shipped("conf").glob("diagnosis/*.yaml"))
    return {name: Rule.model_validate(block) for file in files for name, block in read(file)[0].items()}


def diagnose(log: Path, own: Mapping[str, Rule], vllm: str | None) -> tuple[Diagnosis | None, tuple[Fault, ...]]:
    """What the log of a server that failed tells, and what is wrong with the recipe's `own` rules.

    A rule that names versions is tried only if that of the vLLM that ran is known, and one of them.
    """
    lines = failure_lines(log)
    # ours are searched for first, so that a pattern of the recipe's that takes forever keeps nothing from being known
    ours = {name: rule for name, rule in rules().items() if name not in own}
    tried = {name: rule for name, rule in (ours | dict(own)).items() if _applies(rule, vllm)}
    text = "\n".join(line.bare for line in lines)
    matches = dict(zip(tried, _search(text, [rule.pattern for rule in tried.values()]), strict=False))
    best = next((name for name in (*own, *ours) if matches.get(name)), None)
    slow = next((name for name in own if name in tried and name not in matches), None)
    what, do = f"its pattern takes more than {LIMIT_S:g} s on this log", "write it without repetition in a repetition"
    return (
        None if best is None else _told(best, tried[best], matches[best], lines),
        () if slow is None else (Fault(f"diagnosis.{slow}", what, do),),
    )


def _applies(rule: Rule, vllm: str | None) -> bool:
    if rule.vllm is None:
        return True
    try:
        return vllm is not None and SpecifierSet(rule.vllm).contains(Version(vllm), prereleases=True)
    except InvalidVersion:
        return False


def _search(text: str, patterns: list[str]) -> Iterator[Any]:
    """The result of each pattern; of fewer than were given, if time runs out during the next one."""
    argv = [sys.executable, "-I", "-S", str(matching.__file__)]
    asked = json.dumps({"text": text, "patterns": patterns}).encode()
    try:
        told = subprocess.run(
            argv, input=asked, capture_output=True, timeout=LIMIT_S, start_new_session=True, check=False
        ).stdout
    except subprocess.TimeoutExpired as exc:
        told = exc.stdout or b""
    yield from map(json.loads, told[: told.rfind(b"\n") + 1].splitlines())


def _told(name: str, rule: Rule, match: tuple[int, Mapping[str, str]], lines: list[Line]) -> Diagnosis:
    """The diagnosis from a match; the line on which it ends is the one that tells."""
    end, groups = match
    at = 0
    for line in lines:
        at += len(line.bare) + 1
        if end < at:
            break
    cause, cure = (one_line(FIELD.sub(lambda field: _value(field, groups), text)) for text in (rule.cause, rule.cure))
    return Diagnosis(name, cause, cure, one_line(line.whole, PROOF_WIDE))


def _value(field: re.Match[str], groups: Mapping[str, str]) -> str:
    """What a field comes to: a group, or the difference of two that are numbers."""
    one, other = " ".join(groups[field[1]].split()), field[2]
    if other is None:
        return one if len(one) <= FIELD_WIDE else f"{one[:FIELD_WIDE]}…"
    try:
        return f"{float(one) - float(groups[other]):.2f}"
    except ValueError:
        return "?"
