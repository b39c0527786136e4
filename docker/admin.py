"""Makes Airflow's user `admin`, or resets the password of the one that is there, to AIRFLOW_ADMIN_PASSWORD."""

import os

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

NAME, PASSWORD = "admin", os.environ["AIRFLOW_ADMIN_PASSWORD"]

with get_application_builder() as builder:
    users = builder.sm
    if user := users.find_user(username=NAME):
        users.reset_password(user.id, PASSWORD)
    else:
        users.add_user(NAME, "Triad", "Admin", "admin@localhost", users.find_role("Admin"), password=PASSWORD)
