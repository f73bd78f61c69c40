#!/bin/sh
# Makes a virtual environment and installs this package into it, editable.
#   make-venv.sh DIRECTORY EXTRAS [PIP-INSTALL-ARGUMENT...]
# uv does the work where it is found, otherwise the standard library's venv and pip. The package index is whatever the user has
# configured for them. DIRECTORY/.installed is touched when all went well.
# UV=/path/to/uv chooses the uv, NEWEST_PYTHON=3.13 the newest Python to make it with (3.14 by default).
set -eu
directory=$1
extras=$2
shift 2

export PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_USER=0 # "user = true" in a pip.conf would refuse to install into a virtual environment

# A uv on PATH may be a shim that fails when it is called, so it is tried before it is trusted.
if "${UV:=uv}" --version >/dev/null 2>&1; then uv=yes modules="ssl, sqlite3"; else uv=no modules="ensurepip, ssl, sqlite3, venv"; fi
if [ "$uv" = yes ]; then
    # Unlike pip, uv gives up where it cannot write to its cache (a system account, or a folder that sudo has left to root).
    cache=$("$UV" cache dir)
    { mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null || export UV_NO_CACHE=1
fi

install() {
    if [ "$uv" = yes ]; then
        "$UV" pip install --quiet --python "$directory/bin/python" "$@"
    else
        "$directory/bin/python" -m pip install --quiet "$@"
    fi
}

usable() {
    "$directory/bin/python" -c "import sys; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1 || return 1
    [ "$uv" = yes ] || "$directory/bin/python" -m pip --version >/dev/null 2>&1
}

if ! usable; then
    python=$(sh tools/find-python.sh "${NEWEST_PYTHON:-3.14}" "$modules")
    echo "Making $directory with $python ($([ "$uv" = yes ] && echo uv || echo pip)) ..."
    rm -rf "$directory"
    if [ "$uv" = yes ]; then "$UV" venv --quiet --python "$python" "$directory"; else "$python" -m venv "$directory"; fi
fi
echo "Installing into $directory ..."
# The build backend comes from the same pins as everything else, so it is installed first and the build is not isolated.
install "$@" -r tools/build-requirements.txt
install "$@" --no-build-isolation --editable ".[$extras]"
touch "$directory/.installed"
