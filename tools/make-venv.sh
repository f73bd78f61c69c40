#!/bin/sh
# Makes a virtual environment and installs this package into it, editable.
#   make-venv.sh DIRECTORY EXTRAS [PIP-INSTALL-ARGUMENT...]
# uv does the work where it is found, otherwise the standard library's venv and pip. The package index is whatever the user has
# configured for them. DIRECTORY/.installed is touched when all went well.
set -eu
directory=$1
extras=$2
shift 2

export PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_USER=0 # "user = true" in a pip.conf would refuse to install into a virtual environment

# A uv or python on PATH may be a shim that fails when it is called, so each is tried before it is trusted.
if uv --version >/dev/null 2>&1; then uv=yes modules="ssl, sqlite3"; else uv=no modules="ensurepip, ssl, sqlite3, venv"; fi
if [ "$uv" = yes ]; then
    # Unlike pip, uv gives up where it cannot write to its cache (a system account, or a folder that sudo has left to root).
    cache=$(uv cache dir)
    { mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null || export UV_NO_CACHE=1
fi

suitable() {
    "$1" -c "import sys, $modules; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))" >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3.14 python3.13 python3.12 python3.11 python3 python; do
        if suitable "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    echo "No suitable Python found: Python 3.11 to 3.14 with the modules $modules is needed (or set PYTHON=/path/to/python)." >&2
    return 1
}

install() {
    if [ "$uv" = yes ]; then
        uv pip install --quiet --python "$directory/bin/python" "$@"
    else
        "$directory/bin/python" -m pip install --quiet "$@"
    fi
}

usable() {
    "$directory/bin/python" -c "import sys; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1 || return 1
    [ "$uv" = yes ] || "$directory/bin/python" -m pip --version >/dev/null 2>&1
}

if ! usable; then
    python=$(find_python)
    echo "Making $directory with $python ($([ "$uv" = yes ] && echo uv || echo pip)) ..."
    rm -rf "$directory"
    if [ "$uv" = yes ]; then uv venv --quiet --python "$python" "$directory"; else "$python" -m venv "$directory"; fi
fi
echo "Installing into $directory ..."
# The build backend comes from the same pins as everything else, so it is installed first and the build is not isolated.
install "$@" -r tools/build-requirements.txt
install "$@" --no-build-isolation --editable ".[$extras]"
touch "$directory/.installed"
