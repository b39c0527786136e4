"""`validate`: limits of the checks that are not in the suites of `expectations/`."""

from __future__ import annotations

import difflib
from typing import Annotated

from pydantic import Field, field_validator

from triad.config.base import Day, EachOnce, Section
from triad.schema import TABLES

Share = Annotated[float, Field(ge=0, le=1)]


class QuarantineParams(Section):
    """Rows that fail a row's check are set aside as long as they are few."""

    share: Share = Field(default=0.01, description="share of a table's rows that one check may set aside; 0: none")
    checks: dict[str, Share] = Field(
        default={}, description="`table.column`: its own share, for the checks of that column"
    )

    @field_validator("checks")
    @classmethod
    def _known(cls, checks: dict[str, float]) -> dict[str, float]:
        for place in checks:
            table, _, columns = place.partition(".")
            known = [f"{name}.{column}" for name, each in TABLES.items() for column in each.names]
            if table in TABLES and columns and TABLES[table].open:
                continue  # a column of the shop's own
            if table not in TABLES or not set(columns.split(", ")) <= set(TABLES[table].names):
                near = difflib.get_close_matches(place, known, n=1, cutoff=0)
                raise ValueError(f"{place!r} is no table.column of the contract; did you mean {near[0]!r}?")
        return checks

    def limit(self, place: str) -> float:
        """The share of rows that the checks of `place` (`table.column`) may set aside."""
        return self.checks.get(place, self.share)


class ValidateParams(Section):
    """Freshness, volume, drift and leak limits; which rows may be set aside."""

    freshness_hours: float = Field(default=24, gt=0, description="largest age of the newest event at as_of, in hours")
    exceptional_days: tuple[Day, ...] = Field(
        default=(),
        description="UTC days of a known closure or rush; the checks of missing days and of volume skip them",
    )
    volume_sigmas: float = Field(
        default=6, gt=0, description="limit for a day's log count, in robust standard deviations from its peers"
    )
    drift_days: int = Field(default=7, ge=1, description="days at the window's end that are compared with earlier days")
    drift_alpha: float = Field(default=0.001, gt=0, lt=1, description="false-alarm probability of a whole run")
    drift_effect: float = Field(
        default=0.1, ge=0, le=1, description="smallest drift that matters, as Cramér's V / KS distance"
    )
    leak_auc: float = Field(default=0.98, gt=0.5, le=1, description="AUC of a single feature from which on a run stops")
    public_attributes: Annotated[tuple[str, ...], EachOnce] = Field(
        default=(),
        description="your own columns of users that say nothing about a person; validate shows their values",
    )
    quarantine: QuarantineParams = QuarantineParams()
    max_events_a_user: int | None = Field(
        default=None, ge=1, description="users with more are set aside with all their rows; null: only a warning"
    )
