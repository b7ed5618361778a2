"""What pytest loads wherever recipe-runner is installed: it says at the end which plugins are proven."""

import sys
from typing import Final

import pytest

PROOFS: Final = pytest.StashKey[dict[str, list[str]]]()


@pytest.hookimpl(tryfirst=True)  # before others deselect what will not run
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of each plugin that is to be proven; where none is named, one test is enough to say so."""
    found = config.stash.setdefault(PROOFS, {})
    module = sys.modules.get("recipe_runner.conformance.proof")  # which is there, if a test is derived from it
    for item in items[:] if module else ():
        cls = getattr(item, "cls", None)
        if cls is not None and issubclass(cls, module.Proof):  # type: ignore[union-attr]
            uses = cls.uses()
            tests = found.setdefault(f"{cls.kind[:-1]} {uses or f'of {cls.__name__}'}", [])
            if tests and not uses:
                items.remove(item)
            else:
                tests.append(item.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A plugin is proven if all its tests passed."""
    proofs = config.stash.get(PROOFS, {})
    passed = {report.nodeid for report in terminalreporter.stats.get("passed", ()) if report.when == "call"}
    if proofs:
        terminalreporter.section("plugins")
    for name, tests in proofs.items():
        missing = len({*tests} - passed)
        told = f"not proven  {name}: {missing} of {len(tests)} tests did not pass" if missing else f"proven      {name}"
        terminalreporter.write_line(told)
