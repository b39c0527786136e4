"""The life of one unattended run: opened in a workspace of its own, stage by stage under a fence, closed, pruned.

Nothing here knows Airflow; whoever schedules calls `triad retraining …` (docs/retraining.md).
"""
