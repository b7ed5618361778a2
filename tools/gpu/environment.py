"""Makes an environment like a person's: vLLM, recipe-runner and all that they need beside one interpreter.

    environment.py ENV SITE

SITE, a folder of installed packages, becomes the environment's own; the rest, torch above all, is linked from the
Python that runs this: recipe-runner reads the versions of what stands beside vLLM.
"""

import re
import subprocess
import sys
from pathlib import Path

SCRIPTS = {"vllm": "vllm.entrypoints.cli.main", "recipe-run": "recipe_runner.cli"}
GUARD = 'if __name__ == "__main__":\n'  # vLLM's processes import the script that started them


def name(info: Path) -> str:
    """The package whose metadata a folder has, as PyPI writes it."""
    return re.sub(r"[-_.]+", "-", info.name.partition("-")[0]).lower()


def namespace(folder: Path) -> bool:
    """Whether a folder of the environment's own holds parts of several packages."""
    plain = folder.is_dir() and not folder.is_symlink() and not folder.suffix
    return plain and not (folder / "__init__.py").exists()


def link(source: Path, target: Path, here: set[str]) -> None:
    """Link what is not there yet; a namespace, as `google`, may be in both."""
    for entry in source.iterdir():
        other = target / entry.name
        if entry.name == "__pycache__" or (entry.suffix == ".dist-info" and name(entry) in here):
            continue
        if not other.exists():
            other.symlink_to(entry)
        elif namespace(other) and entry.is_dir():
            link(entry, other, here)


def main() -> None:
    env, site = (Path(word).resolve() for word in sys.argv[1:])
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(env)], check=True)
    (packages,) = env.glob("lib/python3*/site-packages")
    packages.rmdir()
    site.rename(packages)
    here = {name(info) for info in packages.glob("*.dist-info")}
    for place in map(Path, sys.path):
        if place.name in ("site-packages", "dist-packages") and place.is_dir():
            link(place, packages, here)
    for script, module in SCRIPTS.items():
        file = env / "bin" / script
        file.write_text(f"#!{env}/bin/python\nimport sys\nfrom {module} import main\n{GUARD}    sys.exit(main())\n")
        file.chmod(0o755)


if __name__ == "__main__":
    main()
