#!/usr/bin/env bash
# Makes what the workers work in, as their user: the checkout that nights start from, and DVC's configuration.
# The checkout's branches retrain/* are the nights' record: it is never thrown away.
set -euo pipefail

bash "$(dirname "$0")/clone.sh" "$TRIAD_SOURCE" "$TRIAD_REVISION" "$TRIAD_CHECKOUT"

# for every checkout here, the nights' worktrees included; `verify`: what comes back is held against its recorded hash
mkdir -p "$DVC_GLOBAL_CONFIG_DIR" "$TRIAD_WORKSPACES" "$TRIAD_DELIVERY"
cat > "$DVC_GLOBAL_CONFIG_DIR/config" <<CONFIG
[core]
    remote = store
    analytics = false
['remote "store"']
    url = s3://$S3_DVC_BUCKET
    verify = true
CONFIG
