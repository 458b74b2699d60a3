#!/bin/sh
# Trains wine.json as a job of a Ray cluster, without a server, and leaves the model in the folder
# that is given (which all nodes must share; by default the one that wine.json names):
#
#   RAY_API_SERVER_ADDRESS=http://127.0.0.1:8265 RAY_AUTH_MODE=token examples/ray_job.sh [FOLDER]
#
# The exit code says whether the training ended well.
set -eu
cd "$(dirname "$0")"
model=${1:-/tmp/wine-model}
job=$(mktemp -d)
trap 'rm -r "$job"' EXIT
cp wine.json "$job"
python -c 'import sys, pathlib, demo; demo.write_wine(pathlib.Path(sys.argv[1]))' "$job/wine.csv"
ray job submit --working-dir "$job" -- dd-ray train wine.json --repository "$model"
