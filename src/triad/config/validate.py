"""`validate`: limits of the checks that the suites in `expectations/` do not carry."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from triad.config.base import Section


class ValidateParams(Section):
    """Freshness, volume, drift and leak limits."""

    freshness_hours: float = Field(default=24, gt=0, description="hours the newest event may lie before as_of")
    exceptional_days: tuple[date, ...] = Field(
        default=(), description="UTC days of a known closure or rush, neither missing nor far off in volume"
    )
    volume_sigmas: float = Field(default=6, gt=0, description="robust deviations of a day's log count from its peers")
    drift_days: int = Field(default=7, ge=1, description="days at the window's end compared with those before")
    drift_alpha: float = Field(default=0.001, gt=0, lt=1, description="false-alarm probability of a whole run")
    drift_effect: float = Field(
        default=0.1, ge=0, description="smallest drift that matters, as Cramér's V / KS distance"
    )
    leak_auc: float = Field(default=0.98, gt=0.5, le=1, description="single-feature AUC that stops a run")
