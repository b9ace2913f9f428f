#!/bin/bash
# A sweep as a Slurm array: as many shards as the array has tasks.
#
#   shards=$(sbatch --parsable --array=1-8 slurm-array.sh scale "$HOME/scale-results")
#   sbatch --dependency=afterok:"$shards" --wrap \
#     'p2mp experiment merge "$HOME"/scale-results/shard-* --out "$HOME"/scale-results'
#
# The first argument is a plan: a name that p2mp knows, or a file. The second is a folder that all
# nodes share. A task that was preempted, or ran out of time, goes on where it stopped when it is
# submitted again.
#
#SBATCH --job-name=p2mp-experiment
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=01:00:00
#SBATCH --requeue
set -euo pipefail

plan=${1:?name a plan}
results=${2:?name a folder that all nodes share}
shard=$SLURM_ARRAY_TASK_ID
shards=$SLURM_ARRAY_TASK_COUNT

exec p2mp experiment "$plan" --jobs "${SLURM_CPUS_PER_TASK:-1}" \
  --shard "$shard/$shards" --out "$results/shard-$shard-of-$shards"
