#!/bin/sh
# Prints .env.example with every secret of this deployment drawn at random:  (umask 077 && docker/make_env.sh > docker/.env)
set -eu
while IFS= read -r line; do
  case "$line" in
    TRIAD_DATABASE_PASSWORD=) echo "$line" ;; # the shop's: nobody can draw it
    AIRFLOW_FERNET_KEY=) echo "$line$(openssl rand -base64 32 | tr '+/' '-_')" ;;
    *PASSWORD= | *SECRET= | *KEY=) echo "$line$(openssl rand -hex 32)" ;;
    *) echo "$line" ;;
  esac
done < "$(dirname "$0")/.env.example"
