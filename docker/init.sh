#!/usr/bin/env bash
# Brings the deployment to the state it must have before anything else starts. Safe to run again: after an upgrade, or to
# move the nights to another revision.
set -euo pipefail

airflow db migrate
airflow users create --role Admin --username admin --password "$AIRFLOW_ADMIN_PASSWORD" \
  --firstname Triad --lastname Admin --email admin@localhost 2>&1 | tail -n 1
airflow users reset-password --username admin --password "$AIRFLOW_ADMIN_PASSWORD" | tail -n 1
airflow pools set gpu 1 "Stages that need the GPU, one at a time"
mlflow db upgrade "$MLFLOW_BACKEND_STORE_URI"

python - "$S3_DVC_BUCKET" "$S3_MLFLOW_BUCKET" <<'PYTHON'
import sys

import boto3

store = boto3.client("s3")
there = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
for name in sys.argv[1:]:
    if name not in there:
        store.create_bucket(Bucket=name)
        print(f"bucket {name} made")
PYTHON

# The checkout that nights start from. Its branches retrain/* are the nights' record: it is never thrown away.
if [ ! -d "$TRIAD_CHECKOUT/.git" ]; then
  git clone --quiet --no-checkout --config triad.deployed=true "$TRIAD_SOURCE" "$TRIAD_CHECKOUT"
elif [ -n "$(git -C "$TRIAD_CHECKOUT" status --porcelain --untracked-files=no)" ] &&
  [ "$(git -C "$TRIAD_CHECKOUT" config triad.deployed)" != true ]; then
  echo "$TRIAD_CHECKOUT is no clone of this deployment's and holds changes: commit them, or name another folder" >&2
  exit 1
fi
git -C "$TRIAD_CHECKOUT" fetch --quiet origin '+refs/heads/*:refs/remotes/origin/*' '+HEAD:refs/remotes/origin/HEAD'
git -C "$TRIAD_CHECKOUT" checkout --quiet --force --detach \
  "$(git -C "$TRIAD_CHECKOUT" rev-parse --verify --quiet "refs/remotes/origin/$TRIAD_REVISION^{commit}" ||
     git -C "$TRIAD_CHECKOUT" rev-parse --verify "$TRIAD_REVISION^{commit}")"

# DVC's configuration for every checkout here, the nights' worktrees included.
mkdir -p "$DVC_GLOBAL_CONFIG_DIR" "$TRIAD_WORKSPACES" "$TRIAD_DELIVERY"
cat > "$DVC_GLOBAL_CONFIG_DIR/config" <<CONFIG
[core]
    remote = store
    analytics = false
['remote "store"']
    url = s3://$S3_DVC_BUCKET
CONFIG
echo "ready at $(git -C "$TRIAD_CHECKOUT" log -1 --format='%h %s')"
