"""Plots as SVG that stands inside a page and takes the page's colours and letters."""

import io
import logging
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from recipe_runner.reports.words import number
from recipe_runner.serialize import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[["Axes"], None]

SVG: Final = "http://www.w3.org/2000/svg"
REFERENCE: Final = "{http://www.w3.org/1999/xlink}href"
INK, MUTED, LINE, BAD = "#000001", "#000002", "#000003", "#000004"  # stand for the page's colours until it is written
SERIES: Final = tuple(f"#00001{i}" for i in range(6))
COLOURS: Final = {
    **{INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", BAD: "var(--bad)"},
    **{colour: f"var(--series-{i})" for i, colour in enumerate(SERIES)},
}
STYLE: Final[dict[str, Any]] = {
    **{"svg.fonttype": "none", "text.parse_math": False, "axes.formatter.use_mathtext": False},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True},
    **{"figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "legend.frameon": False},
    **{"text.color": INK, "axes.labelcolor": MUTED, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED},
    **{"axes.edgecolor": LINE, "xtick.color": LINE, "ytick.color": LINE, "grid.color": LINE, "grid.linewidth": 0.6},
    **{"font.size": 10, "legend.fontsize": 9, "lines.linewidth": 1.6, "lines.markersize": 5},
    **{"xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0, "ytick.minor.size": 0},
}
NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))
MOST_LABEL: Final = 24


def label(text: str) -> str:
    """Text from elsewhere, short enough for a plot."""
    return one_line(text, most=MOST_LABEL)


def logarithmic(axes: "Axes") -> None:
    """A scale of ratios, labelled with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def svg(name: str, draw: Draw, *, height: float = 2.7) -> str:
    """What `draw` puts on axes, as an `svg` element; `name` is what it shows, one line unlike that of others."""
    logging.getLogger("matplotlib").addHandler(logging.NullHandler())  # it would tell of its cache on stderr
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    out = io.StringIO()
    style: Any = {**STYLE, "svg.hashsalt": name}  # matplotlib lists what keys there may be
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that its own font lacks: the reader's has them
        figure = Figure(figsize=(5.0, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        figure.savefig(out, format="svg", metadata=NO_METADATA)
    return _inlined(out.getvalue(), name)


def _inlined(document: str, name: str) -> str:
    """The drawing without what makes it a file of its own, in the page's colours; read out as its name."""
    root = ET.fromstring(document[document.index("<svg") :])  # noqa: S314 — we wrote it
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}style", f"{{{SVG}}}metadata"):
                parent.remove(child)
    used = set(re.findall(r"#([mp][0-9a-f]{10})\b", document))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        if style := element.get("style"):
            element.set("style", _styled(style))
        if path := element.get("d"):
            element.set("d", re.sub(r"\s+", " ", re.sub(r"(\.\d\d)\d+", r"\1", path)).strip())
        if reference := element.attrib.pop(REFERENCE, None):
            element.set("href", reference)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": name}
    ET.register_namespace("", SVG)
    return re.sub(r"\s*\n\s*", "", ET.tostring(root, encoding="unicode", short_empty_elements=True))


def _styled(style: str) -> str:
    style = re.sub(r"#0000[01]\d", lambda found: COLOURS.get(found[0], found[0]), style)
    return re.sub(r"font(-family)?: [^;]*(; ?|$)", _font, style)


def _font(found: re.Match[str]) -> str:
    size = re.search(r"[\d.]+px", found[0])
    return f"font-size: {size[0]}; " if size else ""
