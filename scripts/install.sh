#!/bin/sh
# install.sh VENV WHAT: a virtual environment with this package in it, by uv where present, else by pip.
# PYTHON names the interpreter.
set -eu
venv=$1
what=$2
python=${PYTHON:-python3}
. "$(dirname "$0")/apt.sh"

if command -v uv >/dev/null 2>&1; then
    [ -x "$venv/bin/python" ] || uv venv -q ${PYTHON:+--python "$PYTHON"} "$venv"
    uv pip install -q --python "$venv/bin/python" -c constraints.txt -e "$what"
    exit
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "rusty_py needs Python 3.11 or newer, $python is $("$python" --version 2>&1)" >&2
    exit 3
}
# Debian's python3 comes without the part that makes virtual environments.
"$python" -c 'import ensurepip' 2>/dev/null || apt_install "python3's venv" python3-venv
[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt -e "$what"
