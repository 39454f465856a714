"""`rusty-bench run` without a GPU: verification, and the watch over the measuring process."""

import sys

import numpy as np
import pytest

from rusty_py import DeviceError, DtypeError, ShapeError
from rusty_py.bench.report import json as document
from rusty_py.bench.report.files import FileError
from rusty_py.bench.user_kernel.job import KernelJob
from rusty_py.bench.user_kernel.parent import KernelFailure, failed, measure
from rusty_py.bench.user_kernel.verification import References, compare
from rusty_py.measure.document import BenchRun
from rusty_py.measure.verification import POISON
from rusty_py.oracle import Expected

from ...each import each_reported

JOB = KernelJob("", "mine.wgsl", [1], {}, ["z = x"])


def child(code: str) -> BenchRun:
    """What comes of a measuring process that runs `code`."""
    start = "import json, os, sys, time\nsay = lambda **event: print(json.dumps(event), flush=True)\n"
    return measure(
        JOB,
        ready=lambda facts: None,
        progress=lambda text: None,
        command=[sys.executable, "-c", start + code],
    )


def test_each_fault_is_named_with_the_first_wrong_element() -> None:
    poison = np.array([POISON], np.uint32)
    nan, inf = np.nan, np.inf
    cases = [
        ([1.0, 2.5], [1, 2], [1, 0.1], "z[1] = 2.5 instead of 2, bound 0.1; 1 of 2 are wrong"),
        ([1.0, 2.05], [1, 2], [1, 0.1], ""),
        ([nan, 2.0], [1, 2], [1, 0.1], "z[0] = nan instead of 1, bound 1; 1 of 2 are wrong"),
        ([nan, inf], [nan, inf], [0.1, inf], ""),
        ([0.0, -inf], [0, inf], [0.1, inf], "z[1] = -inf instead of inf, bound inf; 1 of 2 are wrong"),
        ([1.0, 5.0], [1, 2], [1, inf], ""),
        (poison.view("f4"), [1], [inf], "100.00% of z was never written"),
    ]
    with each_reported() as case:
        for result, reference, bound, fault in cases:
            with case(fault or result):
                expected = Expected(np.float64(reference), np.float64(bound))
                verification = compare({"z": np.float32(result)}, {"z": expected})
                assert verification.fault == fault
    exact = {"m": Expected(np.array([[1, 2]], np.int32), None)}
    assert compare({"m": np.array([[1, 2]], np.int32)}, exact).ok
    fault = compare({"m": np.array([[1, 3]], np.int32)}, exact).fault
    assert fault == "m[0, 1] = 3 instead of 2, exact; 1 of 2 are wrong"


def test_poison_is_seen_in_words_of_two_bytes() -> None:
    half = np.array([POISON & 0xFFFF, 0], np.uint16).view(np.float16)
    expected = {"h": Expected(np.zeros(2), np.full(2, np.inf))}
    assert compare({"h": half}, expected).fault == "50.00% of h was never written"


def test_tolerances_replace_the_bound_and_files_have_one(tmp_path: object) -> None:
    buffers = {"x": np.float32([1, 100]), "z": np.zeros(2, "f4"), "n": np.zeros(2, "i4")}
    derived = References(["z = x * 3"], buffers, rtol=None, atol=None).expected["z"].bound
    given = References(["z = x * 3"], buffers, rtol=0.01, atol=0.5).expected["z"].bound
    assert derived is not None
    assert given is not None
    assert (derived < 1e-3).all()
    np.testing.assert_allclose(given, [0.53, 3.5])
    path = f"{tmp_path}/z.npy"
    np.save(path, np.float64([1, 100]))
    references = References([f"z=@{path}", f"n=@{path}"], buffers, rtol=None, atol=None)
    np.testing.assert_allclose(references.expected["z"].bound, [1.1e-4, 1.1e-3])  # type: ignore[arg-type]
    assert references.expected["n"].bound is None
    np.save(path, np.ones(3))
    with pytest.raises(ShapeError, match=r"the shapes differ: z is \(2,\), its reference \(3,\)"):
        References([f"z=@{path}"], buffers, rtol=None, atol=None)
    np.save(path, np.array(["a", "b"]))
    with pytest.raises(DtypeError, match="not of numbers"):
        References([f"z=@{path}"], buffers, rtol=None, atol=None)
    np.save(path, np.array([object(), None]), allow_pickle=True)
    with pytest.raises(FileError, match="not an array of numbers"):
        References([f"z=@{path}"], buffers, rtol=None, atol=None)


def test_a_silent_process_is_a_timeout_of_the_stage_it_was_in() -> None:
    code = "say(event='stage', stage='running the kernel', next_s=0.3)\ntime.sleep(60)"
    with pytest.raises(KernelFailure, match=r"^running the kernel: no answer within 0\.3 s") as error:
        child(code)
    assert error.value.verdict == "timeout"
    run = failed(JOB, error.value, {})
    assert [(row.problem.name, row.results[0].by, row.results[0].verdict) for row in run.rows] == [
        ("z = x", "mine.wgsl", "timeout")
    ]


def test_each_report_extends_the_limit_and_other_output_is_ignored() -> None:
    result = BenchRun("run", {})
    run = child(
        "for _ in range(4):\n"
        "    say(event='alive', next_s=10)\n"
        "    print('a driver talks', {})\n"
        "    time.sleep(0.1)\n"
        f"say(event='result', document={document.render(result)!r}, next_s=1)"
    )
    assert run == result


def test_errors_of_the_process_are_raised_here() -> None:
    for name, kind in (("ShapeError", ShapeError), ("FileError", FileError), ("Unknown", DeviceError)):
        with pytest.raises(kind, match=r"^x: too large$"):
            child(f"say(event='error', kind={name!r}, message='x: too large', next_s=1)")


def test_an_internal_error_of_the_process_is_one_here() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)ended with status 1: Traceback.*ZeroDivisionError"):
        child("1 / 0")


def test_the_process_gets_the_job_and_ends_with_its_parent() -> None:
    with pytest.raises(ShapeError, match=r"^mine\.wgsl$"):
        child("say(event='error', kind='ShapeError', message=json.loads(input())['name'], next_s=1)")
