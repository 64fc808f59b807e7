#!/usr/bin/env bash
# One sweep over the GPUs of one node or of many, a process for each GPU:
#     sbatch scripts/jobs/slurm.sh experiment=paper/barrier sweep.seeds=100000
#     sbatch --nodes=4 --gpus-per-node=8 --ntasks-per-node=8 scripts/jobs/slurm.sh ...
# Run from the repository, whose .venv and outputs/ (or output=...) every node must see. What is finished is kept: a
# preempted job is queued again by SLURM, one that runs out of time by itself, and sbatch with the same words goes on by
# hand. The processes do not wait for each other: where one ends, the others go on. Of several on a node that all see
# all of its GPUs each takes one.
#SBATCH --job-name=qpinn
#SBATCH --nodes=1
#SBATCH --gpus-per-node=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$(dirname "$0")/../..}"
[[ " $*" == *" output="* ]] || set -- output=outputs "$@"
status=0
# shellcheck disable=SC2016
srun --kill-on-bad-exit=0 --wait=0 bash -c '
    IFS=, read -ra gpus <<<"${CUDA_VISIBLE_DEVICES:-}"
    if [ "${SLURM_NTASKS_PER_NODE:-1}" -gt 1 ] && [ "${#gpus[@]}" -gt 1 ]; then
        export CUDA_VISIBLE_DEVICES=${gpus[SLURM_LOCALID]}
    fi
    exec "$@"' task "${PYTHON:-.venv/bin/python}" scripts/sweep.py sweep.processes=slurm "$@" || status=$?
if [ "$status" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
