# Sourced: `fail` and `install_packages`, for Debian and its kin.

fail() { echo "$*" >&2; exit 1; }

# Install packages when root; else say which command would.
install_packages() {
    local apt=(apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@")
    if ! command -v apt-get >/dev/null; then
        fail "please install what Debian packages as: $*"
    fi
    if [ "$(id -u)" -ne 0 ]; then fail "please run: sudo apt-get install $*"; fi
    echo "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    # A new container has no package lists, or old ones: fetched only when the first try fails.
    "${apt[@]}" </dev/null >/dev/null 2>&1 && return
    apt-get update -q </dev/null >/dev/null
    "${apt[@]}" </dev/null >/dev/null || fail "apt-get could not install $*: its own words are above"
}
