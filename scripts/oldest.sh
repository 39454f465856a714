#!/bin/sh
# oldest.sh: runs the program with the oldest Python that is supported, Debian 12's own, on a cache of its own.
set -eu
python=/usr/bin/python3

"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || {
    echo "oldest.sh: skipped: $python is not Python 3.11" >&2
    exit 0
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME="$scratch/cache"
PYTHON=$python sh scripts/install.sh "$scratch/venv" ".[check]"
PATH="$scratch/venv/bin:$PATH"

python -VV
python -c '
import importlib, pkgutil, rusty_py
for module in pkgutil.walk_packages(rusty_py.__path__, "rusty_py."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
'
rusty-bench --version
sh scripts/vulkan.sh python
rusty-bench matmul --size 64 --max-time 5
sh scripts/clang.sh
sed 's/<=/</' examples/checker/off_by_one.wgsl |
    rusty-bench check - --workgroups 16 --buffer 'x=f32[1000]' --buffer 'y=f32[1000]'
