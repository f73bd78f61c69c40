#!/bin/sh
# Shows that this package can be installed with Airflow's own constraints, on every line of Airflow in airflow-lines.txt.
#   constraints-check.sh
# For each line, its oldest and its newest Python: what Airflow alone resolves to, with the packages of the day of its release, stands for the constraints file
# of that release. This package must resolve with all of it as constraints. AIRFLOW_EXTRAS=all takes in every provider, as Airflow's
# own files do, and needs minutes instead of seconds for each line.
set -eu
uv=$(sh tools/find-uv.sh)
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
failed=

# The arguments after the Python are the requirements and the constraints.
resolve() {
    python=$1
    packages=$2
    shift 2
    if [ "$packages" = today ]; then unset UV_EXCLUDE_NEWER; else export UV_EXCLUDE_NEWER="${packages}T00:00:00Z"; fi
    "$uv" pip compile --quiet --no-header --no-annotate --python-version "$python" "$@"
}

grep -v '^#' tools/airflow-lines.txt >"$directory/lines"
while read -r version packages newest _; do
    for python in 3.11 "$newest"; do
        pins=$directory/constraints.txt
        echo "apache-airflow${AIRFLOW_EXTRAS:+[$AIRFLOW_EXTRAS]}==$version" >"$directory/airflow.in"
        if ! resolve "$python" "$packages" --strip-extras "$directory/airflow.in" -o "$pins" >/dev/null; then
            echo "Airflow $version, Python $python, packages of $packages: Airflow alone does not resolve. Does the index have it, and give upload times?" >&2
            failed="$failed $version"
        elif ! resolve "$python" "$packages" --extra test --extra celery pyproject.toml tools/build-requirements.txt -c "$pins" >"$directory/resolved.txt"; then
            echo "Airflow $version, Python $python, packages of $packages: airflow-cbr cannot be installed with these constraints." >&2
            failed="$failed $version"
        else
            echo "Airflow $version, Python $python, packages of $packages: airflow-cbr installs under $(wc -l <"$pins") constraints."
        fi
    done
done <"$directory/lines"
[ -z "$failed" ] || { echo "Not installable with Airflow:$failed" >&2; exit 1; }
