#!/bin/sh
# vulkan.sh PYTHON: on Linux, installs Mesa's CPU driver where no adapter is found. Elsewhere nothing to do.
set -eu
python=$1
. "$(dirname "$0")/apt.sh"

[ "$(uname -s)" = Linux ] || exit 0
# Who names a driver means that one; rusty-bench says what is wrong with it.
[ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] || exit 0
adapter_found() { "$python" -c 'import sys, rusty_py; sys.exit(not rusty_py.list_adapters())'; }
adapter_found && exit 0
apt_install "a Vulkan driver" mesa-vulkan-drivers libvulkan1
adapter_found || {
    echo "no adapter, although Mesa's Vulkan driver is installed: try $(dirname "$python")/rusty-bench doctor" >&2
    exit 3
}
