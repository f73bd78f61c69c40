#!/bin/sh
# Prints the path of a uv that works: the one on PATH, or one that pip installs by its name into .venv-uv.
#   find-uv.sh
set -eu

# A uv on PATH may be a shim that fails when it is called, so it is tried before it is trusted.
if uv --version >/dev/null 2>&1; then
    command -v uv
    exit
fi
uv=$PWD/.venv-uv/bin/uv
if ! "$uv" --version >/dev/null 2>&1; then
    python=$(sh tools/find-python.sh 3.14 "ensurepip, ssl, venv")
    echo "Installing uv into .venv-uv with $python ..." >&2
    "$python" -m venv --clear .venv-uv >&2
    if ! PIP_USER=0 .venv-uv/bin/python -m pip install --quiet --disable-pip-version-check uv >&2 || ! "$uv" --version >/dev/null; then
        echo "uv is needed here, is not on PATH, and cannot be installed by pip (see above): install uv, or point pip at an index that has it." >&2
        exit 1
    fi
fi
echo "$uv"
