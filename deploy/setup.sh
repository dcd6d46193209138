#!/bin/sh
# Makes the virtual environment with Mainstem and its tools: sh deploy/setup.sh .venv
# Says in one line what the machine lacks. Needs no network beyond the package index that pip is set to.
set -eu

venv=$1

fail() {
    echo "setup: $1" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

python=
for name in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null 2>&1 && new_enough "$name"; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    found=$(python3 --version 2>&1) || found="no python3"
    fail "Python 3.11 or newer is needed, found $found. Debian 12, Ubuntu 24.04 or newer: apt install python3 python3-venv; Ubuntu 22.04: apt install python3.11 python3.11-venv; Fedora: dnf install python3.13; macOS: brew install python"
fi

if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$python has no venv module. Debian, Ubuntu: apt install python$version-venv (or python3-venv)"
fi

# an environment of another Python, of a moved checkout, or half made, is made anew
same=$("$venv/bin/python" -c 'import sys; print(sys.prefix)' 2>/dev/null || true)
if [ "$same" != "$(pwd -P)/$venv" ] || ! new_enough "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "setup: making $venv with $("$python" --version)" >&2
    rm -rf "$venv"
    "$python" -m venv "$venv" || fail "can't make $venv: is the disk full, or the folder read-only?"
fi

echo "setup: installing (a few minutes the first time)" >&2
# through python -m: the first line of a script is limited to 127 characters on some systems, and paths are long
pip="$venv/bin/python -m pip --disable-pip-version-check --quiet"
$pip install --upgrade 'pip>=25.1' || fail "pip can't install: is the package index reachable?"
$pip install --editable . --group dev || fail "installing failed: see the lines above"
pwd >"$venv/.ready"
