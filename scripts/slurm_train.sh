#!/usr/bin/env bash
# Trains on a SLURM cluster: `sbatch [--nodes=2] scripts/slurm_train.sh model=bandpass data.data_dir=/data/faces`
#
# One task for each GPU. When the time is nearly up, or the job is pre-empted, training finishes its step, writes
# last.ckpt and ends; the job is queued again, finds its run folder (named after the job's number) and goes on as if
# nothing had happened. Set what your cluster wants to know (partition, account, time) here or as options of sbatch.
#SBATCH --job-name=addnet
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.log
set -uo pipefail

srun "${PYTHON:-python}" -m addnet.train trainer=slurm ckpt_path=auto "$@" &
training=$!
requeue=no

stop() { kill -TERM "$training" 2>/dev/null; }  # srun hands it to every task
trap 'requeue=yes; stop' USR1                   # time is nearly up: SLURM does not queue the job again by itself
trap stop TERM                                  # pre-empted or cancelled: it does if it was pre-empted

while :; do
  wait "$training"
  status=$?
  kill -0 "$training" 2>/dev/null || break      # a trapped signal ends `wait` before training has ended
done
if [ "$requeue" = yes ] && [ "$status" -ge 128 ]; then  # 143: stopped as asked; an error of its own would come again
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
