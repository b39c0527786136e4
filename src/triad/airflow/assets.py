"""The assets of a night, on which other DAGs can be scheduled. Each event's extra names its run and day.

A consumer names them alone: `schedule=Asset("triad_recommendations")`.
"""

from airflow.sdk import Asset

RAW_DATA = Asset("triad_raw_data", group="triad")
FEATURES = Asset("triad_features", group="triad")
MODEL = Asset("triad_model", group="triad")
"""A new champion serves. A night whose model is not promoted says nothing here."""
RECOMMENDATIONS = Asset("triad_recommendations", group="triad")
"""The lists lie in the delivery folder, whole."""

OF_STAGE = {"ingest": RAW_DATA, "features": FEATURES}
