"""What every test gets: a folder, a home and a cache of its own, no GPU, no hub; and `cli`, the command line."""

import importlib
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from recipe_runner import cli as command_line
from recipe_runner import paths
from recipe_runner.composition import compose
from recipe_runner.plugins import installed, packages
from tests.nvml import Nvml

E2E = Path(__file__).parent / "e2e"
REAL_CACHE = str(paths.cache().parent)  # read before any test moves it away
INHERITED = ("CUDA_", "HF_", "NCCL_", "NVIDIA_", "TORCH", "TRANSFORMERS_", "VLLM_", "_ARGCOMPLETE", "COMP_")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew instead of comparing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever stands in tests/e2e needs the real vLLM, and comes first."""
    for item in items:
        if E2E in item.path.parents:
            item.add_marker(pytest.mark.real)
    items.sort(key=lambda item: E2E not in item.path.parents)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Side by side (`-n`), one worker has all of tests/e2e, and the others take a file at a time."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "e2e" if nodeid.startswith("tests/e2e/") else str(super()._split_scope(nodeid))

    return Files(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGHUP end what it should, even under nohup; what servers leave in one worker is not found in another."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        own = tempfile.mkdtemp(prefix=f"{worker}-")
        Path(own).chmod(0o1777)  # as /tmp is: some tests are another user for a while
        os.environ["TMPDIR"] = tempfile.tempdir = own
        config.add_cleanup(lambda: shutil.rmtree(own, ignore_errors=True))


@pytest.fixture(autouse=True)
def isolated(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(INHERITED):
            monkeypatch.delenv(name)
    real = request.node.get_closest_marker("real") is not None
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", REAL_CACHE if real else str(home / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sys, "path", sys.path.copy())


@pytest.fixture(autouse=True)
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    """The driver that `facts` asks; there is none until a test calls `nvml.has(…)`."""
    fake = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)  # type: ignore[arg-type]
    return fake


@pytest.fixture
def no_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without vLLM, whatever this one has."""
    monkeypatch.setattr("recipe_runner.engines.vllm.find", lambda program: None)


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a module one that is not installed."""
    find = importlib.util.find_spec

    def hide(name: str) -> None:
        monkeypatch.setattr(
            "importlib.util.find_spec", lambda asked, *rest: None if asked == name else find(asked, *rest)
        )
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]

    return hide


class Answer(NamedTuple):
    """What the command line came to."""

    code: int
    stdout: str
    stderr: str

    @property
    def refusal(self) -> list[str]:
        """Everything that was wrong, word for word; only bad input, and nothing else on the terminal, has one."""
        assert self.code == 2, self
        assert self.stdout == "", self
        lines = self.stderr.splitlines()
        assert all(line.startswith("recipe-run: ") for line in lines), self.stderr
        return [line.removeprefix("recipe-run: ") for line in lines]

    @property
    def page(self) -> str:
        """What it printed when all was well."""
        assert (self.code, self.stderr) == (0, ""), self
        return self.stdout


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def run(*words: str) -> Answer:
        capsys.readouterr()
        code = command_line.main(words)
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file in the test's folder, and forget what was composed before."""

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        compose._hydra.cache_clear()
        return file

    return write


@pytest.fixture
def recipe(write: Callable[[str, str], Path]) -> Callable[..., Path]:
    """Write `./recipes/NAME.yaml`; without a section `model`, or parents to have it from, it gets one."""

    def recipe(text: str, name: str = "mine", *, bare: bool = False) -> Path:
        given = bare or "model:" in text or "defaults:" in text
        return write(f"recipes/{name}.yaml", text if given else f"{text.rstrip()}\nmodel: {{id: a/model}}\n")

    return recipe


@pytest.fixture(scope="session")
def generate() -> Iterator[ModuleType]:
    """docs/generate.py, which writes pages, with the modules beside it; they plan once for all tests."""
    docs = Path(__file__).parents[1] / "docs"
    sys.path.insert(0, str(docs))
    spec = importlib.util.spec_from_file_location("generate", docs / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(docs))
    for name in [name for name in sys.modules if name.partition("_")[0] == "generate"]:
        del sys.modules[name]


@pytest.fixture
def package(
    write: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Path]]:
    """Install a package: its entry points by group, and its files; the folder that they are in."""

    def forget() -> None:
        installed.groups.cache_clear()
        packages.folders.cache_clear()
        importlib.invalidate_caches()

    def package(name: str, entries: dict[str, list[str]], files: dict[str, str] | None = None) -> Path:
        home = f"site-{name}"
        points = "".join(f"[recipe_runner.{group}]\n" + "\n".join(lines) + "\n" for group, lines in entries.items())
        write(f"{home}/{name.replace('-', '_')}-1.0.dist-info/METADATA", f"Name: {name}\nVersion: 1.0\n")
        write(f"{home}/{name.replace('-', '_')}-1.0.dist-info/entry_points.txt", points)
        for file, text in (files or {}).items():
            write(f"{home}/{file}", text)
        monkeypatch.syspath_prepend(Path(home).resolve())
        forget()
        return Path(home).resolve()

    before = {*sys.modules}
    yield package
    for name in sys.modules.keys() - before:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
    forget()
