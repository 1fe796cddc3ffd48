#!/bin/bash
# Make .venv, with what requirements-dev.txt pins and this project editable, and .venv/installers with
# requirements-installers.txt. Does nothing when that was done for the same files before. $PYTHON names
# an interpreter to use.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/apt.sh

oldest=3.11
stamp=.venv/made-from

# The interpreter itself, not a version manager's shim: the venv shall outlive a change of version.
find_python() {
    local name real
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        real=$("$name" -c 'import sys
if sys.version_info >= (3, 11): print(sys.executable)' 2>/dev/null) || continue
        if [ -n "$real" ]; then echo "$real"; return; fi
    done
    fail "dobby needs Python $oldest or later, and $(python3 --version 2>/dev/null || echo 'no python3') is what" \
        "this machine has in PATH: install one, or name one by PYTHON=/path/to/python3 make …"
}

made_from() { { echo "$PWD" "$1"; cat requirements-*.txt pyproject.toml scripts/venv.sh; } | cksum; }

# Debian keeps ensurepip in a package of its own.
need_ensurepip() {
    if "$1" -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    install_packages "$("$1" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
    "$1" -c 'import ensurepip, venv' || fail "$1 cannot make virtual environments: its module ensurepip is missing"
}

python=$(find_python)
if [ -r $stamp ] && [ "$(cat $stamp)" = "$(made_from "$python")" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi
need_ensurepip "$python"
echo "making .venv with $python"
rm -rf .venv
"$python" -m venv .venv
pip() { .venv/bin/python -m pip -qq --disable-pip-version-check --no-input "$@"; }
pip install --requirement requirements-dev.txt </dev/null
pip install --no-deps --no-build-isolation --editable . </dev/null

# By uv in seconds; by pip, which takes half a minute, where uv does not know how this machine gets to an index.
installers=.venv/installers/bin/python
"$python" -m venv --without-pip .venv/installers
if ! .venv/bin/uv pip install -q --compile-bytecode --python $installers --no-deps \
    --requirement requirements-installers.txt </dev/null 2>/dev/null; then
    pip --python $installers install --no-deps --requirement requirements-installers.txt </dev/null
fi
made_from "$python" >$stamp
