#!/usr/bin/env bash
# One sweep over all hosts of a TPU slice, on which the repository lies in ~/qpinn with a .venv that has the extra tpu:
#     scripts/jobs/tpu.sh NAME ZONE output=/shared sweep.devices=4 experiment=paper/barrier sweep.seeds=100000
# Every host writes into `output`, a folder that all of them see; `sweep.devices` is how many chips a host has. After a
# preemption the same line goes on, if that folder is still there. Not tried on a TPU.
set -euo pipefail
if [ "$#" -lt 3 ]; then
    echo "usage: $0 NAME ZONE output=FOLDER [group.key=value ...]" >&2
    exit 2
fi
name=$1 zone=$2
shift 2
words=$(printf ' %q' sweep.processes=distributed precision=float32 "$@")
exec gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all \
    --command="cd qpinn && .venv/bin/python scripts/sweep.py$words"
