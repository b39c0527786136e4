"""The ablations as one self-contained HTML page, and as one Markdown page per study. It computes no figures. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from triad.evaluation import charts
from triad.evaluation.assess import FUSED, NAIVE, ORACLE
from triad.evaluation.pages import template
from triad.kinds import find_metric

Rows = list[dict[str, Any]]


def render(studies: Mapping[str, Mapping[str, Any]]) -> str:
    """The page's HTML.

    Args:
        studies: name → what `results.results` gave, with `lineage`.
    """
    return template("triad.ablations", "ablations.html.j2").render(
        studies={name: {**results, "charts": _charts(name, results)} for name, results in studies.items()},
        number=number,
        signed=signed,
        interval=interval,
        metric=metric_name,
        verdict=verdict,
        not_members=(FUSED, NAIVE, ORACLE),
    )


def metric_name(name: str) -> str:
    """As readers know it."""
    metric = find_metric(name)
    return name if metric is None else metric.title


def number(value: float | None, digits: int = 4) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 4) -> str:
    """A difference, or a dash where there is none."""
    return "–" if value is None else f"{value:+.{digits}f}"


def interval(row: Mapping[str, Any], *, sign: bool = True) -> str:
    """`[low, high]`."""
    shown = signed if sign else number
    return "" if row["low"] is None else f"[{shown(row['low'])}, {shown(row['high'])}]"


def verdict(row: Mapping[str, Any]) -> str:
    """Of a variant against another, in a word."""
    if row["value"] == row["low"] == row["high"] == 0:
        return "the same"
    words = {"holds": "better", "does not hold": "worse"}
    return words.get(row["status"], row["status"])


def _charts(study: str, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each task every variant's fused answers, and by share of the rows; and λ over time of the reference."""
    drawn, reference = [], results["reference"]
    for task in dict.fromkeys(row["task"] for row in results["figures"]):
        of_task = [row for row in results["figures"] if row["task"] == task and row["model"] == FUSED]
        metric = metric_name(of_task[0]["metric"])
        if rows := _bars(row for row in of_task if row["share"] == 1):
            svg = charts.forest(rows, metric, reference, f"{study} {task} variants")
            drawn.append(_chart(f"{task}: every variant, fused; more is better", svg))
        # a mean over fewer seeds is of other draws, and would stand apart for that alone
        whole = [row for row in results["curve"] if row["task"] == task and row["seeds"] == len(results["seeds"])]
        if lines := _lines(whole, "variant", "share", "value"):
            svg = charts.trends(lines, "share of the train rows", metric, f"{study} {task} curve", log_x=True)
            drawn.append(_chart(f"{task}: learning curves", svg))
            against = [row for row in results["against_reference"] if row["task"] == task]
            panels = {
                f"{100 * share:g} %": _bars(row for row in against if row["share"] == share)
                for share in sorted({row["share"] for row in against})
            }
            svg = charts.differences(panels, f"{metric} less {reference}", f"{study} {task} differences")
            drawn.append(_chart(f"{task}: each variant less {reference}, by share of the train rows", svg, wide=True))
    history = [row for row in results["history"] if row["variant"] == reference]
    names = sorted({key for row in history for key in row if key.startswith("validation_lambda_")})
    weights = {
        name.removeprefix("validation_lambda_"): ([row["epoch"] for row in history], [row[name] for row in history])
        for name in names
    }
    if weights:
        svg = charts.trends(weights, "epoch", "λ", f"{study} lambda")
        drawn.append(_chart(f"λ of each task over time, {reference}", svg))
    return drawn


def _chart(title: str, svg: str, *, wide: bool = False) -> dict[str, Any]:
    return {"title": title, "svg": Markup(svg), "wide": wide}


def _bars(rows: Iterable[Mapping[str, Any]]) -> Rows:
    return [
        {
            "name": row["variant"],
            "value": row["value"],
            "lo": row["low"],
            "hi": row["high"],
            "shown": row.get("status") in ("holds", "does not hold"),
        }
        for row in rows
        if row["low"] is not None
    ]


def _lines(rows: Rows, name: str, x: str, y: str) -> dict[str, tuple[list[float], list[float]]]:
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for row in sorted(rows, key=lambda row: row[x]):
        if row[y] is not None:
            xs, ys = lines.setdefault(row[name], ([], []))
            xs.append(row[x])
            ys.append(row[y])
    return lines


def document(name: str, results: Mapping[str, Any]) -> str:
    """Markdown of one study: its lineage, its claims and every variant's fused figures."""
    lineage = results["lineage"]
    seeds = ", ".join(map(str, results["seeds"]))
    opening = (
        f"{results['about']} {lineage['date']}, commit {lineage['commit']}, data {lineage['data']}, seeds {seeds}."
    )
    if results["missing"]:
        variants = dict.fromkeys(unit.removeprefix(f"{name}_").rpartition("_")[0] for unit in results["missing"])
        opening += f" **{len(results['missing'])} units were not run**, of {', '.join(variants)}."
    parts = [f"# {name}", opening]
    if results["claims"]:
        parts.append("\n".join(_table(("Claim", "Task", "Metric", "Difference", "p (Holm)", ""), _claims(results))))
    head = ("Variant", "Task", "Metric", "Fused", "Spread over seeds", "Less the reference")
    parts.append("\n".join(_table(head, _variants(results))))
    return "\n\n".join(parts) + "\n"


def _claims(results: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for row in results["claims"]:
        part = "" if row["share"] == 1 else f" at {row['share']:.0%} of the rows"
        claim = f"{row['better']} over {row['than']}{part}"
        gain = f"{signed(row['value'])} {interval(row)}"
        yield claim, row["task"], metric_name(row["metric"]), gain, number(row["p_holm"]), row["status"]


def _variants(results: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    against = {(row["variant"], row["task"], row["share"]): row for row in results["against_reference"]}
    for row in results["figures"]:
        if row["model"] == FUSED:
            less = against.get((row["variant"], row["task"], row["share"]))
            shown = "" if less is None else f"{signed(less['value'])} {interval(less)}, {verdict(less)}"
            part = "" if row["share"] == 1 else f" at {row['share']:.0%}"
            value = f"{number(row['value'])} {interval(row, sign=False)}"
            yield row["variant"] + part, row["task"], metric_name(row["metric"]), value, number(row["spread"]), shown


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
