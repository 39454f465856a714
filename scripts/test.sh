#!/bin/sh
# test.sh PYTHON [MARKS]: runs the tests that MARKS choose, all without. First two at a time, files that take long ahead
# of short ones, so that both end at once; then those that measure, one after the other.
set -u
python=$1
chosen=${2:+($2) and }
status=0
"$python" -m pytest --durations=40 -m "${chosen}not alone" -n 2 --dist loadfile --no-loadscope-reorder \
  tests/metal tests/ops tests/checker tests/system tests/unit tests/tune || status=1
"$python" -m pytest --durations=40 -m "${chosen}alone" tests/system tests/tune tests/ops || status=1
exit $status
