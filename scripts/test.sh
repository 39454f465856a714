#!/bin/sh
# test.sh PYTHON [MARKS]: runs the tests that MARKS choose and checks the types, all tests without.
# Tests that measure run one after the other. The others run three at a time in what is left of the processor: at the
# lowest priority, so that they give way to a measurement. Files that take long go first, so that all end at once.
# Where MARKS leave tests out, llvmpipe compiles the others' kernels without LLVM's optimizations, in two thirds of the
# time: most kernels run once. OpenBLAS's other threads would only spin, where there is nothing left of the processor.
# Without bytecode every process would compile all modules, for half a second.
set -u
unset PYTHONDONTWRITEBYTECODE
python=$1
chosen=${2:+($2) and }
status=0
reports=$(mktemp -d) || exit 1
trap 'rm -rf "$reports"' EXIT
"$python" -m pytest --durations=40 -m "${chosen}alone" tests/system tests/tune tests/ops >"$reports/alone" 2>&1 &
measuring=$!
nice -n 19 "$python" -m mypy >"$reports/types" 2>&1 &
typing=$!
trap 'kill "$measuring" "$typing" 2>/dev/null; rm -rf "$reports"; exit 130' INT TERM
env OPENBLAS_NUM_THREADS=1 ${2:+GALLIVM_PERF=nopt} nice -n 19 "$python" -m pytest --durations=40 -m "${chosen}not alone" -n 3 --dist loadfile --no-loadscope-reorder \
  tests/metal tests/ops tests/checker tests/system tests/unit tests/tune || status=1
wait "$typing" || status=1
wait "$measuring" || status=1
cat "$reports/types" "$reports/alone"
exit $status
