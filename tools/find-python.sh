#!/bin/sh
# Prints the path of a Python, 3.11 to NEWEST, that has the named modules. PYTHON=/path/to/python is tried first.
#   find-python.sh NEWEST "MODULE, MODULE..."
set -eu
newest=$1
modules=$2

# A python on PATH may be a shim that fails when it is called, so each is tried before it is trusted.
for candidate in ${PYTHON:+"$PYTHON"} python3.14 python3.13 python3.12 python3.11 python3 python; do
    if "$candidate" -c "import sys, $modules; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, ${newest#3.}))" >/dev/null 2>&1; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit
    fi
done
echo "No suitable Python found: Python 3.11 to $newest with the modules $modules is needed (or set PYTHON=/path/to/python)." >&2
exit 1
