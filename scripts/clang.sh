#!/bin/sh
# clang.sh: on Linux, installs clang where there is none. The kernel checker compiles with it.
set -eu
. "$(dirname "$0")/apt.sh"

[ "$(uname -s)" = Linux ] || exit 0
command -v "${RUSTY_PY_CLANG:-clang++}" >/dev/null 2>&1 && command -v addr2line >/dev/null 2>&1 && exit 0
apt_install "a C++ compiler" clang binutils
