"""`html`: report.html, the run as a page of its own that needs nothing else: no request, no JavaScript."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from recipe_runner.api import Report
from recipe_runner.reports import words
from recipe_runner.reports.document import JUDGES, complete, leading
from recipe_runner.reports.plots import Plot, of_benchmark, of_phases
from recipe_runner.reports.sweep_plots import of_sweep
from recipe_runner.reports.sweeps import table
from recipe_runner.serialize import one_line

TEMPLATES: Final = Path(__file__).parent / "templates"
MOST_BYTES: Final = 1_000_000
MOST_CELLS: Final = 10_000  # of a table, which then takes about half of MOST_BYTES
NOTICE: Final = 200  # bytes that it takes to say that something is left out
MOST_TEXT: Final = 4_000
MOST_NAME: Final = 80


class Html(Report):
    """Writes `report.html`: one file of at most 1 MB with figures, plots, plan and log; for a sweep, too."""

    needs: ClassVar = ("jinja2", "matplotlib")

    def write(self, report: Mapping[str, Any], folder: Path) -> Path:
        document = complete(report)
        items = [{"kind": kind[:-1], **item} for kind in JUDGES for item in document[kind]]
        sections = {item["name"]: of_benchmark(item) for item in document["benchmarks"]}
        phases = [of_phases(document["phases"])] if document["phases"] else []
        return _written(folder, "report.html", {"report": document, "items": items}, sections | {"": phases})

    def write_sweep(self, sweep: Mapping[str, Any], folder: Path) -> Path:
        found = table(sweep)
        return _written(
            folder, "sweep.html", {"sweep": found, "listed": found.listed(MOST_CELLS)}, {"": of_sweep(found)}
        )


def _written(folder: Path, template: str, told: Mapping[str, Any], plots: Mapping[str, Sequence[Plot]]) -> Path:
    """The page; without some of its plots where it would be too large with all of them."""
    page, count = _rendered(template, plots=plots, left_out=0, **told), sum(map(len, plots.values()))
    if (excess := len(page.encode()) - MOST_BYTES) > 0:
        kept = _smaller(plots, excess)
        page = _rendered(template, plots=kept, left_out=count - sum(map(len, kept.values())), **told)
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def _smaller(plots: Mapping[str, Sequence[Plot]], excess: int) -> dict[str, list[Plot]]:
    """The plots without the largest ones; the first of each section, which tells most, goes last."""
    kept, excess = {name: list(some) for name, some in plots.items()}, excess + NOTICE
    size = {id(one): len(one.svg.encode()) for some in kept.values() for one in some}
    first = {id(some[0]) for some in kept.values() if some}
    order = sorted((one for some in kept.values() for one in some), key=lambda one: (id(one) in first, -size[id(one)]))
    for one in order:
        if excess <= 0:
            break
        excess -= size[id(one)]
        kept = {name: [other for other in some if other is not one] for name, some in kept.items()}
    return kept


def _rendered(template: str, **told: Any) -> str:
    import jinja2
    from markupsafe import Markup, escape

    def plain(value: Any) -> Any:
        """Text from elsewhere on one line; what is none, as it would be typed."""
        if isinstance(value, Markup):
            return value
        return one_line("–" if value is None else words.shown(value), most=MOST_TEXT)

    def name(text: str) -> Markup:
        """A name from elsewhere, which may go on in another line where one of its words ends."""
        return Markup(re.sub(r"([_.])", r"\1<wbr>", str(escape(one_line(text, most=MOST_NAME)))))  # noqa: S704 — escaped

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": words.number, "percent": words.percent, "drawing": Markup, "name": name}
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704 — ours
    return environment.get_template(template).render(**told, words=words, leading=leading, style=style)
