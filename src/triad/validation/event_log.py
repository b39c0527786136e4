"""Checks of the event log that are not in the suites: its days, labels, leaks and drift.

Reads through a DuckDB session with the tables' views; the judging is in the modules named below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial

import duckdb
import numpy as np

from triad.config.validate import ValidateParams
from triad.redaction import Privacy
from triad.schema import EVENT_KINDS, USERS
from triad.statistics.multiple import holm
from triad.validation import drift, leaks, volume
from triad.validation.checks import Check, Severity
from triad.validation.sampling import Columns, pick_users, read_events, read_impressions

_MOST_VALUES = 100  # an attribute of users with more values is no category


def count_days(session: duckdb.DuckDBPyConnection) -> dict[str, dict[date, int]]:
    """Events by kind and UTC day."""
    counts: dict[str, dict[date, int]] = {kind: {} for kind in EVENT_KINDS}
    query = "SELECT kind, occurred_at::DATE AS day, count(*) FROM events GROUP BY ALL ORDER BY ALL"
    for kind, day, rows in session.execute(query).fetchall():
        counts.setdefault(kind, {})[day] = rows
    return counts


def check_event_log(
    session: duckdb.DuckDBPyConnection, params: ValidateParams, first_day: date, as_of: date, privacy: Privacy
) -> list[Check]:
    """Days, freshness, volume, labels, leaks and drift of table events, for the window `[first_day, as_of)`."""
    kinds = count_days(session)
    per_day = "SELECT occurred_at::DATE, count(DISTINCT user_id) FROM events GROUP BY 1"
    customers = dict(session.execute(per_day).fetchall())
    newest = session.execute("SELECT max(occurred_at) FROM events").fetchall()[0][0]
    exceptional = params.exceptional_days
    checks = [
        volume.check_days(customers, first_day, as_of, exceptional),
        volume.check_freshness(newest, as_of, params.freshness_hours),
        *volume.check_volume(
            kinds,
            first_day,
            as_of,
            sigmas=params.volume_sigmas,
            recent_days=params.drift_days,
            exceptional=exceptional,
        ),
        *check_labels({kind: sum(per_day.values()) for kind, per_day in kinds.items()}),
    ]
    pick_users(session)
    if any(kinds["impression"].values()):
        checks += check_columns(*read_impressions(session), params.leak_auc)
    return checks + _check_drift(session, params, first_day, as_of, privacy)


def check_labels(totals: Mapping[str, int]) -> list[Check]:
    """Where impressions are recorded, clicks must be too, and not as many: a label of one class teaches nothing."""
    shown = totals.get("impression", 0)
    if not shown:
        return []
    checks = []
    severities: tuple[tuple[str, Severity], ...] = (("click", "critical"), ("purchase", "warning"))
    for kind, severity in severities:
        count = totals.get(kind, 0)
        message = f"{shown:,} impressions, {count:,} events of kind {kind}"
        if not count:
            message += f": the label made of {kind}s would have one class"
        checks.append(Check("label_classes", "events", "kind", severity, count > 0, message))
    return checks


def check_columns(
    columns: Columns, labels: Mapping[str, np.ndarray], owners: Sequence[np.ndarray], limit: float
) -> list[Check]:
    """Does one raw column of an impression say whether it will be answered? One check a label.

    Args:
        owners: each (n,), of which none counts for many times what others do: see `leaks.spread`.
    """
    checks = []
    for label, answered in labels.items():
        rows = np.arange(len(answered))
        for owner in owners:
            rows = rows[leaks.spread(owner[rows], answered[rows])]
        leaking, worst, positive = {}, 0.5, answered[rows]
        for name, column in columns.items():
            values = column[rows]
            numbers = leaks.rates(values, positive) if values.dtype == object else values
            score = leaks.best_auc(numbers, positive)
            worst = max(worst, score)
            if score >= limit:
                leaking[name] = score
        where = ", ".join(leaking) or None
        message = f"no column of an impression tells whether it is {label}: best AUC {worst:.3f}, limit {limit:g}"
        if leaking:
            scores = ", ".join(f"{name} alone has AUC {score:.3f}" for name, score in leaking.items())
            message = f"{scores} for {label!r} (limit {limit:g}): the column is filled from what came after"
        checks.append(Check("leak", "events", where, "critical", not leaking, message, len(leaking)))
    return checks


def _check_drift(
    session: duckdb.DuckDBPyConnection, params: ValidateParams, first_day: date, as_of: date, privacy: Privacy
) -> list[Check]:
    days = params.drift_days
    before = (as_of - first_day).days - days
    if before < days:
        message = f"not asked: {before} days before the last {days} are too few to compare with"
        return [Check("drift", "events", None, "info", True, message)]
    columns, recent, clusters = read_events(session, _attributes(session), as_of, days)
    drifts = [
        drift.categorical(name, values, recent, clusters, partial(privacy.value, *name.split(".", 1)))
        if values.dtype == object
        else drift.numeric(name, values, recent, clusters)
        for name, values in columns.items()
    ]
    since = as_of - timedelta(days=days)
    return check_drift([each for each in drifts if each is not None], params, f"since {since}")


def check_drift(drifts: list[drift.Drift], params: ValidateParams, when: str) -> list[Check]:
    """A warning a column that drifted surely and by much; an info a column with categories never seen before."""
    checks = []
    corrected = holm([one.p_value for one in drifts])
    for one, p_value in zip(drifts, corrected, strict=True):
        table, _, column = one.column.partition(".")
        measure = "Cramér's V" if one.scale == "categorical" else "Kolmogorov-Smirnov distance"
        drifted = p_value <= params.drift_alpha and one.effect >= params.drift_effect
        message = (
            f"{'drifted' if drifted else 'no drift that matters'} {when}: {measure} {one.effect:.3f} "
            f"(limit {params.drift_effect:g}, corrected p {max(p_value, 1e-16):.1g}, {one.rows:,} rows); {one.moved}"
        )
        checks.append(Check("drift", table, column, "warning", not drifted, message))
        if one.new:
            message = f"values never seen before {when.removeprefix('since ')}"
            samples = tuple({column: name} for name in one.new[:5])
            checks.append(Check("new_values", table, column, "info", False, message, len(one.new), samples))
    return checks


def _attributes(session: duckdb.DuckDBPyConnection) -> list[str]:
    """The columns of users that the shop declared itself and that hold categories."""
    described = session.execute("DESCRIBE users").fetchall()
    named = [row[0] for row in described if row[0] not in USERS.names and row[1] in ("VARCHAR", "BOOLEAN", "BIGINT")]
    if not named:
        return []
    quoted = ['"' + name.replace('"', '""') + '"' for name in named]
    counted = session.execute("SELECT " + ", ".join(f"count(DISTINCT {name})" for name in quoted) + " FROM users")
    return [name for name, values in zip(named, counted.fetchall()[0], strict=True) if values <= _MOST_VALUES]
