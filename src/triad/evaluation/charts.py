"""Charts as inline SVG in the page's font and its light and dark colours. Pure; the bytes are reproducible."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# stand-ins that the page's CSS variables replace; no theme has to be known here
_COLOURS = {"#000001": "var(--ink)", "#000002": "var(--soft)", "#000003": "var(--accent)", "#000004": "var(--line)"}
INK, SOFT, ACCENT, LINE = _COLOURS

_STYLE: dict[str, Any] = {
    "text.parse_math": False,  # a dollar sign in a name is one
    "svg.fonttype": "none",
    "svg.hashsalt": "triad",
    "font.size": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def forest(rows: Sequence[dict[str, Any]], label: str, strong: str, title: str) -> str:
    """One line a row of {name, value, lo, hi}, its interval as a bar; the row called `strong` stands out."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 0.55 + 0.3 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            colour = ACCENT if row["name"] == strong else SOFT
            axes.plot([row["lo"], row["hi"]], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
            axes.plot([row["value"]], [place], "o", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(label)
        axes.grid(axis="x", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        return _svg(figure, title)


def differences(panels: Mapping[str, Sequence[dict[str, Any]]], label: str, title: str) -> str:
    """Panels side by side, in each a line a row of {name, value, lo, hi, shown} about zero; the `shown` stand out."""
    names = list(dict.fromkeys(row["name"] for rows in panels.values() for row in rows))
    with rc_context(_STYLE):
        figure = Figure(figsize=(0.9 + 2.9 * len(panels), 1.0 + 0.27 * len(names)), layout="constrained")
        places = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (head, rows) in zip(places, panels.items(), strict=True):
            axes.axvline(0, color=SOFT, linestyle="--", linewidth=1)
            for row in rows:
                place, colour = names.index(row["name"]), ACCENT if row["shown"] else SOFT
                axes.plot([row["lo"], row["hi"]], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
                axes.plot([row["value"]], [place], "o", color=colour, markersize=5)
            axes.set_title(head, fontsize=10, color=INK)
            axes.locator_params(axis="x", nbins=4)
            axes.grid(axis="x", color=LINE, linewidth=0.6)
            axes.set_axisbelow(True)
        places[0].set_yticks(range(len(names)), names)
        places[0].set_ylim(len(names) - 0.5, -0.5)
        figure.supxlabel(label, fontsize=10, color=SOFT)
        return _svg(figure, title)


def calibration(predicted: Sequence[float], observed: Sequence[float], title: str) -> str:
    """What was promised against what came, the diagonal between them."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        top = max(*predicted, *observed, 1e-6) * 1.05
        axes.plot([0, top], [0, top], color=SOFT, linestyle="--", linewidth=1)
        axes.plot(predicted, observed, "o-", color=ACCENT, linewidth=1.5, markersize=5)
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        axes.set_xlabel("promised probability")
        axes.set_ylabel("how often it came true")
        _percent(axes)
        return _svg(figure, title)


def curves(lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], strong: str, title: str) -> str:
    """Share of queries with a hit against the list's length, one line a model, named at its end."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for name, (x, y) in lines.items():
            colour = ACCENT if name == strong else SOFT
            axes.plot(x, y, color=colour, linewidth=2.5 if name == strong else 1.2)
        last = sorted(((y[-1], name, x[-1]) for name, (x, y) in lines.items()), reverse=True)
        _, top = axes.get_ylim()
        height = float("inf")
        for value, name, at in last:  # names keep their distance where lines end together
            height = min(value, height - top * 0.055)
            colour = ACCENT if name == strong else INK
            axes.annotate(name, (at, height), (6, 0), textcoords="offset points", va="center", color=colour)
        axes.set_xlabel("length of the list")
        axes.set_ylabel("next item is in it")
        axes.set_ylim(min(0.0, height - top * 0.03), top)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        return _svg(figure, title)


def trends(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x_label: str,
    y_label: str,
    title: str,
    *,
    log_x: bool = False,
) -> str:
    """One line a name, told apart by its dashes; `log_x` spaces x by ratios."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for place, (name, (x, y)) in enumerate(lines.items()):
            dashes, colour = ("-", "--", ":", "-.")[place % 4], (ACCENT, INK, SOFT)[place // 4 % 3]
            axes.plot(x, y, dashes, marker="o", color=colour, linewidth=1.5, markersize=4, label=name)
        if log_x:
            axes.set_xscale("log")
            shown = sorted({each for x, _ in lines.values() for each in x})
            axes.set_xticks(shown, [f"{each:g}" for each in shown])
            axes.minorticks_off()
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="center left", bbox_to_anchor=(1, 0.5))
        return _svg(figure, title)


def _percent(axes: Axes) -> None:
    digits = 0 if axes.get_xlim()[1] > 0.08 else 1
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:.{digits}%}")


def _svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(
        r"<g id=\"[^\"]*\"", "<g", text
    )  # group names repeat from chart to chart; only those referred to stay
    prefix = re.sub(r"\W+", "-", title.lower())
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r'<svg [^>]*?width="[^"]*"', lambda m: re.sub(r' (width|height)="[^"]*"', "", m[0]), text, count=1)
    text = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    return text
