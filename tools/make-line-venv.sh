#!/bin/sh
# Makes .venv-airflow-VERSION, with this package, its tests' packages and that Airflow, as they were on the day of that Airflow's release.
#   make-line-venv.sh VERSION
# The days are in airflow-lines.txt. Only uv can ask an index for a day in the past.
set -eu
version=$1
directory=.venv-airflow-$version

line=$(grep -E "^$version +" tools/airflow-lines.txt) || { echo "tools/airflow-lines.txt has no line for Airflow $version." >&2; exit 1; }
# shellcheck disable=SC2086 # the words are the columns
set -- $line
[ "$2" = today ] || export UV_EXCLUDE_NEWER="$2T00:00:00Z"
export NEWEST_PYTHON="$3"

UV=$(sh tools/find-uv.sh)
export UV
# What an earlier day's table has installed would stay as long as it satisfies the bounds.
rm -rf "$directory"
sh tools/make-venv.sh "$directory" test "apache-airflow==$version"
