#!/bin/bash
# Check that the programs are here which the tests run. As root, what is missing is installed;
# else it is named. Shells that only some tests use, and program:package as arguments, are not insisted on.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/apt.sh
PATH=$PATH:/usr/sbin:/sbin

# program:package
needed="sshd:openssh-server ssh:openssh-client ssh-keygen:openssh-client git:git rsync:rsync strace:strace ps:procps"
wanted="zsh:zsh fish:fish tcsh:tcsh sudo:sudo git-lfs:git-lfs faketime:faketime $*"

missing() {
    local pair
    for pair in "$@"; do
        if ! command -v "${pair%%:*}" >/dev/null; then echo "${pair#*:}"; fi
    done | sort -u
}

if [ "$(id -u)" -eq 0 ]; then needed="$needed $wanted"; fi
packages=$(missing $needed)
if [ -z "$packages" ]; then exit 0; fi
install_packages $packages
packages=$(missing $needed)
if [ -n "$packages" ]; then fail "still missing after installation:" $packages; fi
