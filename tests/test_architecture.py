"""The rules of the tree: who may import what, how large things may be, what happens at import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "recipe_runner"
MODULES = sorted(PACKAGE.rglob("*.py"))
PLUGINS = ("engines", "checks", "benchmarks", "reports")
PLUGINS_MAY = {"api", "client", "process", "errors", "serialize"}


def imports(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            module = node.module or ""
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def ours(name: str) -> str:
    """`recipe_runner.a.b.c` → `a.b`, the module as we speak of it."""
    return ".".join(name.split(".")[1:3])


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_who_may_import_what(file: Path) -> None:
    where = file.relative_to(PACKAGE)
    for line, name in imports(file):
        root = name.split(".")[0]
        at = f"{where}:{line} imports {name}"
        assert root not in ("vllm", "torch", "transformers"), at
        assert root not in ("hydra", "omegaconf") or where.name in ("compose.py", "sources.py"), at
        if root != "recipe_runner":
            continue
        module = ours(name)
        assert module.split(".")[0] != "cli" or where.name == "__main__.py", at
        if where.parts[0] != "verbs" and where.name != "cli.py":
            assert module.split(".")[0] != "verbs", at
        if where.parts[0] in PLUGINS:
            assert module.split(".")[0] in {*PLUGINS_MAY, where.parts[0]}, at
        elif (
            where.name != "registry.py" and where.parts[0] != "conformance"
        ):  # which proves them on our simulated server
            assert module.split(".")[0] not in PLUGINS, at


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_sizes_and_docstrings(file: Path) -> None:
    text = file.read_text()
    assert text.count("\n") <= 250
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{file} has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < 60, f"{file}:{node.lineno} {node.name} is too long"


def test_the_core_is_small() -> None:
    """What is at the top is the way from a command line to a report; what serves one step of it has a folder."""
    assert len([file for file in PACKAGE.glob("*.py") if not file.name.startswith("__")]) <= 25


def test_functions_are_short_as_a_rule() -> None:
    sizes = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for file in MODULES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
    )
    assert sizes[len(sizes) // 2] <= 12


def test_importing_asks_nothing() -> None:
    """Every module imports without a home, without opening a file for writing, a socket or a process."""
    names = [
        ".".join(("recipe_runner", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for file in MODULES
        if file.name != "__main__.py"
    ]
    program = (
        "import sys\n"
        "import importlib, platform; platform.platform()\n"
        "def hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.bind', 'subprocess.Popen', 'os.system'): raise SystemExit(event)\n"
        "    if event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+'): raise SystemExit(args)\n"
        "sys.addaudithook(hook)\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert not {'vllm', 'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], env={}, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_help_and_version_import_neither_hydra_nor_pydantic() -> None:
    heavy = "{'hydra', 'omegaconf', 'pydantic', 'httpx', 'rich', 'pynvml', 'psutil', 'yaml'}"
    for words in (["--help"], ["--version"]):
        program = (
            f"import sys; from recipe_runner.cli import main; main({words!r}); assert not {heavy} & {{*sys.modules}}"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
