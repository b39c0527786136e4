#!/usr/bin/env bash
# clone.sh SOURCE REVISION FOLDER: makes FOLDER a clone of SOURCE, or moves it, to REVISION. Branches it has are kept.
set -euo pipefail
source=$1 revision=$2 folder=$3

if [ ! -d "$folder/.git" ]; then
  git clone --quiet --no-checkout --config triad.deployed=true "$source" "$folder"
elif [ -n "$(git -C "$folder" status --porcelain --untracked-files=no)" ] &&
  [ "$(git -C "$folder" config triad.deployed)" != true ]; then
  echo "$folder is no clone of this deployment's and holds changes: commit them, or name another folder" >&2
  exit 1
fi
git -C "$folder" fetch --quiet origin '+refs/heads/*:refs/remotes/origin/*' '+HEAD:refs/remotes/origin/HEAD'
git -C "$folder" checkout --quiet --force --detach \
  "$(git -C "$folder" rev-parse --verify --quiet "refs/remotes/origin/$revision^{commit}" ||
     git -C "$folder" rev-parse --verify "$revision^{commit}")"
echo "$folder is at $(git -C "$folder" log -1 --format='%h %s')"
