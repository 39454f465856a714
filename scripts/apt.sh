# To be sourced. apt_install PURPOSE PACKAGE...: installs Debian packages where that needs no password,
# else prints the line to type and exits with 3.

apt_install() {
    purpose=$1
    shift
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "$purpose: not found, and there is no apt-get here: install what your system calls $*" >&2
        exit 3
    fi
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif sudo -n true >/dev/null 2>&1; then
        as_root="sudo -n"
    else
        echo "$purpose: not found. Type this, then try again:" >&2
        echo "    sudo apt-get install --no-install-recommends $*" >&2
        exit 3
    fi
    echo "$purpose: not found, installing $*" >&2
    log=$(mktemp)
    if $as_root apt-get update -q >"$log" 2>&1 &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" >>"$log" 2>&1; then
        rm -f "$log"
    else
        cat "$log" >&2
        rm -f "$log"
        exit 3
    fi
}
