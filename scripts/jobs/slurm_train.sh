#!/usr/bin/env bash
# One run, or a multirun, as a job that loses nothing: preempted, killed or out of time it is queued again and goes on.
#     sbatch scripts/jobs/slurm_train.sh experiment=paper/barrier optimizer.steps=1000000
# Run from the repository, whose .venv and outputs/ (or output=...) the node must see. A signal makes the run save and
# end with status 75, which asks for the queue; sbatch with the same words goes on by hand.
#SBATCH --job-name=qpinn
#SBATCH --nodes=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$(dirname "$0")/../..}"
status=0
[[ " $*" == *" output="* ]] || set -- output=outputs "$@"
srun "${PYTHON:-.venv/bin/python}" scripts/train.py "$@" requeue=true || status=$?
if [ "$status" -eq 75 ] || [ "$status" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
