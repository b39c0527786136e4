"""A version's lineage as text for people. It reads and writes no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triad.tracking.registry import Version

_UNCHANGED = "nothing"


def explain(version: Version, earlier: Version | None = None) -> str:
    """What made `version`, and, against `earlier`, what changed."""
    line, tags = version.lineage, version.tags
    data, verdict, learned = line["data"], line["verdict"], line.get("learned", {})
    parts = [
        f"{version.model} version {version.number}" + "".join(f" @{alias}" for alias in version.aliases),
        "",
        _field("verdict", f"{tags.get('verdict', verdict.get('verdict'))} against {_rival(tags)}"),
        *(_field("", reason) for reason in verdict.get("reasons", [])),
        _field("promoted", tags.get("promoted_at", "never")),
    ]
    if "branch" in tags:
        parts.append(_field("restore", f"git checkout {tags['branch']} && dvc pull"))
    if "rolled_back_at" in tags:
        parts.append(_field("rolled back", tags["rolled_back_at"]))
    if "experiment" in tags:
        parts.append(_field("experiment", tags["experiment"]))
    if night := line.get("night"):
        parts.append(_field("night", f"light: version {night['twin']} learned the days from {night['first_day']} on"))
        parts.append(_field("", f"its evaluated twin is that version's: `triad why {night['twin']}`"))
    parts += [
        _field("made by", line["trigger"]),
        _field("lineage key", line["key"]),
        _field("MLflow run", version.run_id),
        _field("code", _code(line["code"])),
        _field("data", f"{data['first_day']} to {data['last_day']}, {data['days']} days, as of {data['as_of']}"),
        _field("", ", ".join(f"{rows:,} {table}" for table, rows in data["rows"].items())),
        _field("", f"hash {data['digest']}"),
        _field("learned until", ", ".join(f"{part['last_day']} ({name})" for name, part in sorted(learned.items()))),
        _field("validation", _plain(line["validation"])),
        _field("seeds", _plain(line["seeds"])),
        "",
        "metrics",
        *_table([(name, _estimate(line["metrics"], name)) for name in _measured(line["metrics"])]),
    ]
    if earlier is not None:
        parts += ["", compare(earlier, version)]
    return "\n".join(parts)


def compare(first: Version, second: Version) -> str:
    """What differs between two versions: code, data, params, checks, metrics, verdict."""
    a, b = first.lineage, second.lineage
    parts = [f"from version {first.number} to version {second.number}", ""]
    if a["key"] == b["key"]:
        return "\n".join([*parts, "the same data and the same fitted model"])
    if a["code"] == b["code"]:
        parts.append(_field("code", _UNCHANGED))
    else:
        parts.append(_field("code", f"{_code(a['code'])} → {_code(b['code'])}"))
        commits = a["code"]["commit"], b["code"]["commit"]
        if all(commits) and commits[0] != commits[1]:
            parts.append(_field("", f"git diff {commits[0][:12]} {commits[1][:12]} -- src"))
    parts += ["", "data", *_changes(_data(a["data"]), _data(b["data"]))]
    parts += ["", "params", *_changes(a["params"], b["params"])]
    parts += ["", "validation", *_changes(a["validation"], b["validation"])]
    parts += ["", "metrics", *_deltas(a["metrics"], b["metrics"])]
    verdicts = [v.tags.get("verdict", v.lineage["verdict"].get("verdict")) for v in (first, second)]
    return "\n".join([*parts, "", _field("verdict", f"{verdicts[0]} → {verdicts[1]}")])


def _field(name: str, text: object) -> str:
    return f"{name:<12} {text}"


def _rival(tags: Mapping[str, str]) -> str:
    return (
        f"version {tags['compared_with']}" if "compared_with" in tags else "naive baselines, with no champion before it"
    )


def _code(code: Mapping[str, Any]) -> str:
    commit = f"commit {code['commit'][:12]}" if code["commit"] else "no git commit"
    return f"{commit}{' with uncommitted changes' if code['dirty'] else ''}, package {code['digest'][:12]}"


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: data[name] for name in ("as_of", "first_day", "last_day", "days", "digest")}
    return plain | {f"rows of {table}": rows for table, rows in data["rows"].items()}


def _plain(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    return _table([(name, f"{a.get(name, '—')} → {b.get(name, '—')}") for name in names]) or [f"  {_UNCHANGED}"]


def _deltas(a: Mapping[str, float], b: Mapping[str, float]) -> list[str]:
    rows = []
    for name in _measured({**a, **b}):
        old, new = _value(a, name), _value(b, name)
        if old is None or new is None:
            rows.append((name, f"{_estimate(a, name)} → {_estimate(b, name)}"))
        elif old != new:
            rows.append((name, f"{_number(old)} → {_number(new)} ({new - old:+.4g})"))
    return _table(rows) or [f"  {_UNCHANGED}"]


def _measured(metrics: Mapping[str, float]) -> list[str]:
    """Names of metrics in order; an estimate's `x.value`, `x.lo` and `x.hi` are one, `x`."""
    estimates = {name.removesuffix(".value") for name in metrics if name.endswith(".value")}
    ends = {f"{name}.{end}" for name in estimates for end in ("value", "lo", "hi")}
    return sorted(estimates | (metrics.keys() - ends))


def _value(metrics: Mapping[str, float], name: str) -> float | None:
    return metrics.get(f"{name}.value", metrics.get(name))


def _estimate(metrics: Mapping[str, float], name: str) -> str:
    value, low, high = _value(metrics, name), metrics.get(f"{name}.lo"), metrics.get(f"{name}.hi")
    if value is None:
        return "—"
    return _number(value) + (f" [{_number(low)}, {_number(high)}]" if low is not None and high is not None else "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4g}"


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {text}" for name, text in rows]
