"""The life of one unattended run: opened in its own workspace, run stage by stage, closed, pruned.

Nothing here knows Airflow; whoever schedules calls `triad retraining …` (docs/retraining.md).
"""
