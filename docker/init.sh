#!/usr/bin/env bash
# Brings databases, buckets and the deployed code to the state they must have before anything else starts. Safe to run
# again: after an upgrade, or to move the nights to another revision. Passwords stay in the environment: an argument could
# be read in the list of processes.
set -euo pipefail

airflow db migrate
python "$(dirname "$0")/admin.py"
airflow pools set gpu 1 "Stages that need the GPU, one at a time"

python - "$S3_DVC_BUCKET" "$S3_MLFLOW_BUCKET" <<'PYTHON'
import os
import sys

import boto3
from mlflow.store.db import utils

# what `mlflow db upgrade` does, whose address would be an argument
engine = utils.create_sqlalchemy_engine_with_retry(os.environ["MLFLOW_BACKEND_STORE_URI"])
if utils._is_empty_database(engine):
    utils._initialize_tables(engine)
elif utils._get_schema_version(engine) != utils._get_latest_schema_revision():
    utils._upgrade_db(engine)

store = boto3.client("s3")
there = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
for name in sys.argv[1:]:
    if name not in there:
        store.create_bucket(Bucket=name)
        print(f"bucket {name} made")
PYTHON

# what Airflow's parts and the workers' tasks run; nobody else may write it
bash "$(dirname "$0")/clone.sh" "$TRIAD_SOURCE" "$TRIAD_REVISION" "$TRIAD_CHECKOUT"
