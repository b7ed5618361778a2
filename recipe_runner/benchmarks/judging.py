"""A command that measures and saves its result as JSON: run it, and refuse what it did not measure."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from recipe_runner.api import Bench, Outcome, failed, is_number
from recipe_runner.benchmarks.samples import NAMES, samples, statistics_of
from recipe_runner.serialize import safe_line

METRICS: Final = (
    *("completed", "failed", "duration", "total_input_tokens", "total_output_tokens"),
    *("request_throughput", "output_throughput", "total_token_throughput"),
    *NAMES,
)
SAMPLED: Final = ("ttft", "tpot", "itl")
REFUSED: Final = re.compile(  # what errors say where a server does not take, or keep, a request; vLLM and aiohttp, ours
    r"Too Many Requests|Service Unavailable|ServerDisconnectedError|ConnectionResetError|ClientConnectorError"
    r"|status (?:429|503)\b|RemoteProtocolError|ConnectError|ReadError"
)


def measured(command: str, argv: Sequence[str], name: str, bench: Bench, asked: int) -> Outcome:
    """Run `argv`, which leaves NAME.json in the run's folder, and judge that; `asked` is how many requests it makes."""
    log, file = bench.folder / f"{name}.log", bench.folder / f"{name}.json"
    status = bench.run(argv, log)
    if status != 0:
        return failed(f"`{command}` exited with {status}; see {log.name}: {bench.last_line(log)!r}")
    try:
        result = json.loads(file.read_text())
    except (OSError, ValueError) as exc:
        return failed(f"`{command}` left no result: {exc}")
    if not isinstance(result, dict):
        return failed(f"`{command}` left no result: {file.name} holds no JSON object")
    return judge(result, asked)


def judge(result: Mapping[str, Any], asked: int) -> Outcome:
    """Refuse a result that measured something else than was asked for."""
    found = samples(result)
    known = {**statistics_of(found.ms), **result}
    metrics = {key: known[key] for key in METRICS if is_number(known.get(key))}
    answered = {key: value for key, value in metrics.items() if value or key not in NAMES}  # nothing is written as 0
    completed = int(metrics.get("completed", 0))
    if metrics.get("failed"):
        errors = [str(error) for error in result.get("errors") or ()]
        others = [error for error in errors if not REFUSED.search(error)]
        detail = f"{metrics['failed']:.0f} of {asked} requests failed{_commonest(others)}"
        if refused := len(errors) - len(others):
            answered["refused"], detail = refused, f"{detail}; the server refused or dropped {refused} of them"
        return Outcome("failed", detail, answered)
    if completed < asked:
        return Outcome("failed", f"only {completed} of {asked} requests were completed", answered)
    if not metrics.get("total_output_tokens"):
        return Outcome("failed", "no tokens were generated", answered)
    rate, ttft = metrics.get("output_throughput", 0.0), metrics.get("median_ttft_ms", 0.0)
    detail = f"{completed} requests, {rate:.2f} tok/s out, median TTFT {ttft:.1f} ms"
    kept = {f"{kind}_ms": found.ms[kind] for kind in SAMPLED if found.ms.get(kind)}
    return Outcome("measured", detail, metrics, samples=kept, spans=(found.span,) if found.span else ())


def _commonest(errors: Sequence[str]) -> str:
    """The error that most of the failed requests ended with; of a traceback its last line."""
    said = Counter(error.strip().rpartition("\n")[2] for error in errors if error.strip())
    return "".join(f", {count} with {safe_line(error, 200)!r}" for error, count in said.most_common(1))
