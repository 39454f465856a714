#!/bin/sh
# test.sh PYTHON [OPTION...]: runs the tests with these options of pytest. Two cores are kept busy: what needs a device
# runs beside what does not, or starts processes, which is shown when both have ended. Then, undisturbed, what measures
# and starts programs.
set -u
python=$1
shift
log=$(mktemp)
"$python" -m pytest "$@" tests/unit tests/checker tests/metal tests/ops/test_life.py \
  --ignore tests/unit/bench >"$log" 2>&1 &
beside=$!
trap 'kill $beside 2>/dev/null; rm -f "$log"' EXIT
trap 'exit 130' INT TERM

"$python" -m pytest "$@" tests/ops --ignore tests/ops/test_life.py
status=$?
wait $beside || status=1
cat "$log"
"$python" -m pytest "$@" tests/unit/bench tests/tune tests/system || status=1
exit $status
