"""The parts of the DAGs in dags/: tasks that start `triad retraining …`, the trigger form, links, messages.

No library of learning or of data is imported here: each task's work happens in a process of its own.
"""
