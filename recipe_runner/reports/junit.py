"""`junit`: junit.xml, the run as continuous integration shows it."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from recipe_runner.api import Report
from recipe_runner.reports.document import JUDGES, complete
from recipe_runner.reports.sweeps import table
from recipe_runner.reports.words import MEANING, doubts, limit, noise_statement, number, place, shown, unit

NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NOT_PASSED: Final = {"failed": "failure", "inconclusive": "failure", "error": "error", "skipped": "skipped"}


class Junit(Report):
    """Writes `junit.xml`: a test case for each check and each benchmark, with its metrics as properties.

    Inconclusive is no pass, and the run's exit code says so, too: it is a failure of type `inconclusive`. `measured`
    passes: nothing was asked of it. What broke a run as a whole is a case `run`. A sweep has a suite for each point.
    """

    def write(self, report: Mapping[str, Any], folder: Path) -> Path:
        document = complete(report)
        return _written([_suite(document, f"{document['recipe']['name']} on {place(document)}")], folder)

    def write_sweep(self, sweep: Mapping[str, Any], folder: Path) -> Path:
        found = table(sweep)
        suites = []
        for point in found.points:
            at = ", ".join(f"{axis}={shown(value)}" for axis, value in zip(found.axes, point.at, strict=True))
            suites.append(_suite(point.report, at) if point.report else _not_run(at, point.errors))
        return _written(suites, folder)


def _suite(report: Mapping[str, Any], name: str) -> ET.Element:
    suite = _element("testsuite", name=name, timestamp=report["started"])
    told = {"verdict": report["verdict"], "simulated": report["simulated"], **report["environment"]}
    _properties(suite, told)
    for kind in JUDGES:
        for item in report[kind]:
            suite.append(_case(report, kind, item))
    suite.extend(_run(report))
    if report["log_excerpt"]:
        _child(suite, "system-out", "\n".join(report["log_excerpt"]))
    return _counted(suite)


def _case(report: Mapping[str, Any], kind: str, item: Mapping[str, Any]) -> ET.Element:
    seconds = f"{item['seconds']:.3f}"
    case = _element("testcase", classname=f"{report['recipe']['name']}.{kind}", name=item["name"], time=seconds)
    _properties(case, {"verdict": item["verdict"], "uses": item["uses"], **item.get("metrics", {})})
    told = "\n".join(_told(item)) if kind == "benchmarks" else ""
    if outcome := NOT_PASSED.get(item["verdict"]):
        _child(case, outcome, told, message=item["detail"], type=item["verdict"])
    elif told or item["detail"]:
        _child(case, "system-out", f"{item['detail']}\n{told}".strip())
    return case


def _told(benchmark: Mapping[str, Any]) -> Iterator[str]:
    """The gates of a benchmark, what its noise is, and what speaks against its measurements."""
    for figure in benchmark["figures"]:
        if figure["verdict"]:
            measured = "nothing" if figure["measured"] is None else number(figure["measured"])
            judged = f"{figure['metric']} {measured} {unit(figure)}, limit {limit(figure)}: {figure['verdict']}"
            yield f"{judged}; {figure['why']}"
    yield noise_statement(benchmark)
    yield from doubts(benchmark)


def _run(report: Mapping[str, Any]) -> Iterator[ET.Element]:
    """What no check and no benchmark tells of the run: its errors, that it was interrupted, that nothing was judged."""
    said = "; ".join(f"{error['where']} — {error['what']}; {error['do']}" for error in report["errors"])
    verdicts = {item["verdict"] for kind in JUDGES for item in report[kind]}
    nothing_judged = report["verdict"] == "inconclusive" and verdicts <= {"measured", "skipped"}
    if not (said or nothing_judged or report["verdict"] == "interrupted"):
        return
    case = _element("testcase", classname=report["recipe"]["name"], name="run", time="0")
    message = said or ("nothing was judged" if nothing_judged else MEANING["interrupted"])
    _child(case, "failure" if nothing_judged else "error", "", message=message, type=report["verdict"])
    yield case


def _not_run(name: str, errors: Sequence[str]) -> ET.Element:
    suite = _element("testsuite", name=name)
    case = _child(suite, "testcase", classname="sweep", name="run", time="0")
    message = "; ".join(errors) or "this point did not run"
    _child(case, "error" if errors else "skipped", message=message)
    return _counted(suite)


def _counted(suite: ET.Element) -> ET.Element:
    """The suite with the totals that readers ask for before they read on."""
    suite.set("tests", str(len(suite.findall("testcase"))))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", f"{sum(float(case.get('time', 0)) for case in suite.findall('testcase')):.3f}")
    return suite


def _properties(parent: ET.Element, values: Mapping[str, Any]) -> None:
    properties = _child(parent, "properties")
    for name, value in values.items():
        _child(properties, "property", name=name, value=shown(value))


def _child(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    child = _element(tag, **attributes)
    child.text = _xml(text) or None
    parent.append(child)
    return child


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _xml(value) for name, value in attributes.items()})


def _xml(text: str) -> str:
    """Without the characters that no XML may hold."""
    return NO_XML.sub("", text)


def _written(suites: list[ET.Element], folder: Path) -> Path:
    root = ET.Element("testsuites", {"name": "recipe-runner"})
    root.extend(suites)
    ET.indent(root)
    path = folder / "junit.xml"
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path
