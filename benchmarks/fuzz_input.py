"""Mutated recipes, words and log lines for `fuzz.py`."""

import contextlib
import copy
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from recipe_runner.composition.yamlfile import Loader

ROOT = Path(__file__).parents[1]
RECIPES = {file.stem: file.read_bytes() for file in sorted((ROOT / "recipes").glob("*.yaml"))}
CONTROL = re.compile("[\0-\x08\x0b-\x1f]")
SECRET = "hf_" + "a1B2c3D4e5" * 4
# fmt: off
NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**12, 10**30, -(10**40), 1e308, -1e-308, 0.1, "", " ", "-", "--", "--help",
    "--trust-remote-code", "-1", "nan", "inf", "~", "null", "on", "${oc.env:HOME}", "${", "\\${x}", "???", "a\nb",
    "a\tb", "\x1b[2J", "\u202egnp", "\u2028", "\ud83d", "\x85", "é漢🦜", "'", '"', "`id`", "$(id)", "; id", "| id",
    "& id", "../../etc/passwd", "/etc/passwd", "~/x", "x" * 300, "x" * 5000, "a/b", "a//b", "os:system",
    "module:Class", ":", "a:", "https://example.org/x.png", "file:///etc/passwd", "data:,x", "{}", "[]", '{"a": 1}',
    "{'a': 1}", "[1, 2", [], {}, [None], [[]], [[1]], {"a": None}, {"": ""}, {"a.b": 1}, {"a": {"b": {"c": []}}},
    ["--x"], ["a", 1, True, None, {}], "(a+)+$", "[", "*" * 50, "\0", "\x07", "\ufeff", "00", "0x10", "1_000",
    "12:30", "2026-01-01", "=", "a=b", "auto",
)
KEYS = (
    "summary", "defaults", "model", "id", "path", "revision", "vllm", "facts", "parallelism", "tp", "dp", "pp",
    "serve", "host", "port", "served_model_name", "max_model_len", "trust_remote_code", "compilation_config", "env",
    "validation", "uses", "prompt", "expect", "contains", "regex", "image", "extra_body", "benchmark", "extra_args",
    "profiles", "expected", "metrics", "value", "unit", "config", "parameters", "bytes", "engine", "hardware",
    "command", "origin", "diagnosis", "pattern", "cause", "cure", "", "a.b", "a b", "-x", "_self_", "\u202e", "é",
    "x" * 200, "${x}", "null",
)
SNIPPETS = (
    b"&a ", b"*a", b"!!python/object/apply:os.system ['id']\n", b"!!binary aGk=\n", b"<<: *a\n", b"? ", b"- ", b": ",
    b"{", b"}", b"[", b"]", b"|", b">", b"\t", b"\r\n", b"\xff", b"\xef\xbb\xbf", b"\0", b"---\n", b"...\n",
    b"%YAML 1.2\n", b"#", b"'", b'"', b"${oc.env:HOME}", b"\xe2\x80\xae", b"\xc2\x85", b"\x1b[2J",
    b"# @package _global_\n", b"\\", b"1e999", b"99999999999999999999999999999999999999999999", b"!!float nan",
    b".inf", b"\xed\xa0\xbd", b'"\\ud83d"', b'"\\0"',
)
# fmt: on


def strict_json(text: str) -> Any:
    """A JSON document as every reader takes it: no NaN, no Infinity."""

    def no(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=no)


def recipe(rng: random.Random) -> bytes:
    """A shipped recipe, changed in its values, in its text, or both; now and then something else."""
    name = rng.choice(list(RECIPES))
    data = RECIPES[name]
    kind = rng.random()
    if kind < 0.06:
        return bomb(rng)
    if kind < 0.7:
        tree = yaml.load(data, Loader)
        for _ in range(rng.choice((1, 1, 2, 4))):
            tree = leaf_changed(rng, tree) if rng.random() < 0.7 else changed(rng, tree)
        try:
            data = yaml.safe_dump(tree, allow_unicode=rng.random() < 0.5, sort_keys=False, width=10_000).encode(
                errors="surrogatepass"
            )
        except yaml.YAMLError:
            data = b"a: 1\n"
        if rng.random() < 0.2:
            data = f"defaults: [{rng.choice([*RECIPES, 'nope', 'fuzz', '../x'])}, _self_]\n".encode() + data
    if kind > 0.62:
        for _ in range(rng.choice((1, 1, 2, 8))):
            data = torn(rng, data)
    return data


def choice(rng: random.Random, group: str) -> bytes:
    """A shipped choice of a group, changed."""
    data = rng.choice([file.read_bytes() for file in sorted((ROOT / "conf" / group).glob("*.yaml"))])
    if rng.random() < 0.1:
        return bomb(rng)
    if rng.random() < 0.5:
        tree = leaf_changed(rng, yaml.load(data, Loader))
        with contextlib.suppress(yaml.YAMLError):
            data = yaml.safe_dump(tree, sort_keys=False).encode(errors="surrogatepass")
    for _ in range(rng.choice((0, 1, 2))):
        data = torn(rng, data)
    return data


def bomb(rng: random.Random) -> bytes:
    """Small text that wants to be large, deep or endless."""
    depth = rng.choice((30, 45, 300, 5000, 60_000))
    head = "model: {id: a/b}\nserve: "
    levels = "\n".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]" for i in range(1, 12))
    return rng.choice(
        (
            head + "[" * depth + "]" * depth,
            head + "{a: " * depth + "1" + "}" * depth,
            "x0: &x0 [a]\n" + levels + "\n",
            head + "&a {b: *a}",
            head + "{" + ", ".join(f"k{i}: {i}" for i in range(min(depth, 5000))) + "}",
            "\n".join(f"{'  ' * i}a:" for i in range(min(depth, 300))),
            head + "{x: '" + "${" * min(depth, 20_000) + "'}",
            head + "{x: '" + "y" * 2_000_000 + "'}",
            head + f"{{x: {'9' * depth}}}",
            head + f"{{x: 1e{'9' * min(depth, 300)}}}",
            head + "{x: |\n" + " " * depth,
            "validation: {v: {uses: completion, prompt: p, expect: {regex: '"
            + "(" * min(depth, 5000)
            + "'}}}\n"
            + head
            + "{}",
        )
    ).encode()


def changed(rng: random.Random, tree: Any) -> Any:
    """The same tree with one place changed."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.12:
        return rng.choice(NASTY)
    if isinstance(tree, list):
        i = rng.randrange(len(tree))
        return [*tree[:i], changed(rng, tree[i]), *tree[i + 1 :]]
    key = rng.choice(list(tree))
    kind = rng.random()
    if kind < 0.1:
        return {k: v for k, v in tree.items() if k != key}
    if kind < 0.2:
        return {(rng.choice(KEYS) if k == key else k): v for k, v in tree.items()}
    if kind < 0.35:
        return {**tree, rng.choice(KEYS): rng.choice((*NASTY, tree[key], tree))}
    return {k: (changed(rng, v) if k == key else v) for k, v in tree.items()}


def leaf_changed(rng: random.Random, tree: Any) -> Any:
    """The same tree with one of its leaves, each as likely as the other, made something of the same kind or another."""
    tree = copy.deepcopy(tree)
    places = [*_leaves(tree)] if isinstance(tree, dict | list) else []
    if not places:
        return rng.choice(NASTY)
    *way, last = rng.choice(places)
    at = tree
    for key in way:
        at = at[key]
    old = at[last]
    alike: tuple[Any, ...] = (old,)
    if isinstance(old, bool):
        alike = (not old,)
    elif isinstance(old, int | float):
        alike = (old * 2, old // 2, -old, 0, 1, old + 0.5, old * 10**6, str(old), [old], {"a": old})
    elif isinstance(old, str):
        alike = (old.upper(), old[::-1], f"{old} {old}", f"-{old}", [old], {old: old}, 7, f"{old}\x1b[2J", "")
    at[last] = rng.choice(alike if rng.random() < 0.5 else NASTY)
    return tree


def _leaves(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict | list) and value:
            yield from _leaves(value, (*at, key))
        else:
            yield (*at, key)


def torn(rng: random.Random, data: bytes) -> bytes:
    """The same bytes with something cut, doubled, moved or put in."""
    if not data:
        return rng.choice(SNIPPETS)
    lines = data.splitlines(keepends=True)
    i, j = rng.randrange(len(data)), rng.randrange(len(lines))
    match rng.randrange(7):
        case 0:
            return data[:i] + bytes([rng.randrange(256)]) + data[i + 1 :]
        case 1:
            return data[:i] + rng.choice(SNIPPETS) + data[i:]
        case 2:
            return data[:i]
        case 3:
            return b"".join([*lines[:j], *lines[j + 1 :]])
        case 4:
            return b"".join([*lines[: j + 1], *lines[j:]])
        case 5:
            rng.shuffle(lines)
            return b"".join(lines)
        case _:
            return b"".join([*lines[:j], b" " * rng.randrange(5), *lines[j:]])


# fmt: off
PATHS = (
    "recipe", "hardware", "engine", "parallelism", "validation", "benchmark", "parallelism.tp", "parallelism.dp",
    "parallelism.pp", "model.id", "model.path", "model.revision", "model.vllm", "model.facts", "serve", "serve.port",
    "serve.host", "serve.max_model_len", "serve.served_model_name", "serve.compilation_config", "serve.x", "env.X",
    "env", "validation.capital.prompt", "validation.capital.expect.regex", "validation.red.image", "validation.v",
    "benchmark.guide.extra_args", "benchmark.guide.num_prompts", "benchmark.b", "engine.command", "engine.url",
    "engine.replies", "preflight.memory", "timeouts.run_s", "timeouts.ready_s", "report.formats", "report.folder",
    "hardware.count", "hardware.memory_gib", "hardware.nvml_names", "summary", "expected", "profiles", "hydra", "",
)
VALUES = (
    "1", "0", "-1", "1e400", "nan", "inf", "null", "true", "[]", "{}", "[1,2]", "{a:1}", "'a'", '"b"', "a,b", "1,2,3",
    "range(1,4)", "range(1,1000000000)", "choice(a,b)", "glob(*)", "glob([a,b],exclude=c)", "interval(1,2)",
    "shuffle(1,2)", "sort(3,1)", "tag(x,choice(1))", "int(x)", "str(1)", "json_str({a:1})", "${oc.env:HOME}", "\\",
    "'", "(", ")))", "[[[[", "{a:{b:{c:1}}}", "a b", "=", "a=b", "@", "é", "\u202e", "\x1b[2J", "\udcff", "a\nb",
    "x" * 3000, "../x", "/etc/passwd", "internvl3", "internvl3-tiny", "smollm2-135m", "a100x2", "cpu", "auto", "host",
    "vllm", "sim", "attach", "smoke", "none", "http://127.0.0.1:9", "https://[::1", "http://a:b@c:99999", "os:system",
    "recipes/fuzz.yaml", "stranger/", "'a b'", "-x", "--x", "1.5", "0x10", "1_000", "'it''s'", "'\\''", "$(id)",
    "`id`", ";id", "[" * 2000, "{a:" * 500, "*" * 40,
)
# fmt: on


def words(rng: random.Random) -> list[str]:
    """A verb that starts nothing, and words in Hydra's grammar or something like it."""
    verb = rng.choice(("plan", "plan", "plan", "show", "list"))
    made = [verb]
    if verb == "list":
        return [*made, *rng.sample(("recipes", "hardware", "x", "--json", "--config-dir", "added", "-m", "é", ""), k=2)]
    if rng.random() < 0.85:
        name = rng.choice([*RECIPES] * 5 + ["nope", "../x", "recipes/fuzz.yaml", "a.yml", "\udcff", "x" * 400])
        made.append(name if verb == "show" else f"recipe={name}")
        made.append(f"hardware={rng.choice(('a100x2', 'cpu', 'h200x1', 'auto', 'host', 'nope'))}")
    for _ in range(rng.choice((0, 1, 1, 2, 3, 6))):
        made.append(word(rng))
    for option in ("--json", "-m", "--trust", "--help", "--config-dir", "--config-dir=added", "--jsno", "--", "-x"):
        if rng.random() < (0.15 if option in ("--json", "-m", "--trust") else 0.02) and not (
            verb == "show" and option == "-m"
        ):
            made.insert(rng.randrange(1, len(made) + 1), option)
    return made


def word(rng: random.Random) -> str:
    path, value = rng.choice(PATHS), rng.choice(VALUES)
    text = rng.choice(
        (f"{path}={value}",) * 8
        + (
            f"~{path}",
            f"+{path}={value}",
            f"++{path}={value}",
            f"{path}@x={value}",
            f"{path}.{value}=1",
            value,
            f"{path}={value},{value}",
            f"~{path}={value}",
        )
    )
    if rng.random() < 0.25:
        i = rng.randrange(len(text) + 1)
        text = text[:i] + rng.choice("=,.[]{}()'\"\\@~+$:% \t\n-é\u202e") + text[i + (rng.random() < 0.5) :]
    return text.replace("\0", "")  # which no system hands over


def log(rng: random.Random, files: tuple[Path, ...]) -> bytes:
    """Lines of real logs, torn, with secrets and noise among them."""
    lines = rng.choice(files).read_bytes().splitlines(keepends=True)
    start = rng.randrange(len(lines))
    data = b"".join(lines[start : start + rng.randrange(1, 60)])
    for _ in range(rng.randrange(6)):
        data = torn(rng, data)
    more = (
        f"api_key={SECRET}\n",
        f"Authorization: Bearer {SECRET}\n",
        f"'{SECRET}'\n",
        f"http://u:{SECRET}@h/\n",
        "=" * 20_000,
        "Authorization: " * 3000,
        "api_key" + " " * 20_000 + "x",
        "://" * 20_000,
        "--api-key " + "a " * 20_000,
        "token=[" * 5000,
        "\x1b]0;title\x07",
        "KV cache size: ,,,, tokens",
        "Model loading took ... GiB",
        "KV cache size: 1,2 tokens\n",
        "ValueError: \u202eevil\n",
        "Error:\r\rprogress\r",
        "E" * 1_000_00,
        "\udcff",
    )
    for _ in range(rng.randrange(3)):
        i = rng.randrange(len(data) + 1)
        data = data[:i] + rng.choice(more).encode(errors="surrogatepass") + data[i:]
    return data
