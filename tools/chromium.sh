#!/bin/sh
# Installs Chromium by its package name where there is none, for the tests that look at pages: with apt-get, as root or with a sudo
# that asks nothing. Where that cannot be, it says so and goes on; those tests then fail with the same advice.
set -u
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done

if [ "$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi
if command -v apt-get >/dev/null 2>&1 && $as_root true 2>/dev/null; then
    echo "Installing chromium ..."
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
echo "There is no Chromium, and it could not be installed: the tests of pages will fail. What to do: install the package chromium." >&2
