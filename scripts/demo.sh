#!/bin/bash
# dobby at work on a small real project: `scripts/demo.sh local` on this machine, `… ssh` through
# a real sshd. Everything, the account's home too, is in .demo and is removed first.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/apt.sh
top=$PWD demo=$PWD/.demo

# Each command is shown as a user would type it, then run.
bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
show() { printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"; }
shown() {
    local word line=
    for word in "$@"; do
        case $word in *' '*) word="\"$word\"" ;; esac
        line+="$word "
    done
    show "${line% }"
    "$@"
}

make_project() {
    mkdir -p "$demo/home" "$demo/etl"
    cd "$demo/etl"
    git init -q -b main
    git config user.name Demo
    git config user.email demo@example.org
    echo tabulate >requirements.txt
    echo "print('nothing to do on main')" >etl.py
    git add -A
    git commit -qm "An empty job"
    git checkout -q -b demo-branch
    cat >etl.py <<'PY'
import os
import time

from tabulate import tabulate

rows = []
for number in range(1, 6):
    rows.append((number, number * number))
    print(f"row {number} of 5 done")
    time.sleep(0.3)
with open(os.path.join(os.environ["DOBBY_OUTPUTS"], "result.txt"), "w") as file:
    file.write(tabulate(rows, headers=["n", "n squared"]) + "\n")
print("result written")
PY
    git commit -qam "Squares, slowly"
    git checkout -q main
}

serve_ssh() {
    # The server removes its account and ends when its stdin ends: with this script at the latest.
    coproc server { cd "$top" && exec .venv/bin/python -m tests.sshd; }
    trap 'exec {server[1]}>&-; wait "$server_PID"' EXIT
    local settings
    read -r settings <&"${server[0]}" || fail "the demo's sshd did not start"
    eval "export $settings"
}

main() {
    local kind=${1:-local} HOST=local
    rm -rf "$demo"
    make_project
    # An account of its own: no setting of the user's applies, and none is left behind.
    unset "${!DOBBY_@}" "${!XDG_@}"
    export HOME=$demo/home XDG_RUNTIME_DIR=$demo/home DOBBY_HOME=$demo/home/.dobby
    export GIT_CONFIG_NOSYSTEM=1 PATH=$top/.venv/bin:$PATH
    unset PYTHONPATH VIRTUAL_ENV
    if [ "$kind" = ssh ]; then serve_ssh; fi

    show "cat etl.py    # on demo-branch; main is what is checked out"
    git show demo-branch:etl.py
    shown dobby run demo-branch "python etl.py" -H "$HOST" -f
    shown dobby ps
    shown dobby fetch demo-branch -H "$HOST" --to "$demo/result"
    shown cat "$demo/result/result.txt"
    grep -q '25' "$demo/result/result.txt" || fail "the result is not what the job wrote"
}

main "$@"
