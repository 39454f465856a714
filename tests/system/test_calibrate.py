"""`rusty-bench calibrate`, and what precedes the program without arguments, by a child that plays."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from rusty_py import cache_file
from rusty_py.gemm.register_tiled_cpu import ALONE
from rusty_py.gemm.search_space import as_data
from rusty_py.profile.record import from_json

from .program import PATIENCE_S, Done, driver, kernels, run, rusty_bench, started, strict_json, table

pytestmark = pytest.mark.usefixtures("adapter")

SMALL = ("matmul", "--size", "33", "--tile", "8", "--runs", "1")
REPORTS = [
    {"event": "clock", "name": "gpu", "reason": "timestamps agree with the wall clock"},
    {"event": "figure", "name": "fma_gflops", "value": 98.7654},
    {"event": "figure", "name": "cores", "value": 2},
    {"event": "figure", "name": "launch_us", "value": 31.5},
    {"event": "figure", "name": "copy_gbps", "value": {"1048576": 11.0, "16777216": 7.0}},
    {"event": "figure", "name": "read_gbps", "value": {"1048576": 12.0}},
    {"event": "rate", "kernel": as_data(ALONE), "class": "nn", "gflops": 17.5},
    {"event": "rate", "kernel": as_data(ALONE), "class": "tn", "gflops": 9.25},
    {"event": "rate", "kernel": {"family": "gemv_n", "rows": 1, "lanes_n": 32, "lanes_k": 8, "steps": 2}}
    | {"class": "nn", "gflops": 1.5},
    {"event": "out", "kernel": as_data(ALONE), "class": "tt", "why": "wrong: 3 of 9 elements"},
    {"event": "end"},
]
FAKE = """
import json, os, sys, time
from pathlib import Path
with Path(sys.argv[1]).open("a") as file:
    print(os.getpid(), file=file)
for report in json.loads(sys.argv[2]):
    if report == "hang":
        time.sleep(100)
    print(json.dumps(report), flush=True)
"""


class Faked:
    """Runs `rusty-bench` with a measuring process that reports what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.begun = folder, folder / "profile.json", folder / "begun"
        self.env: dict[str, str | None] = {"RUSTY_PY_PROFILE": str(self.path)}

    def command(
        self, *arguments: str | Path, reports: object = REPORTS, measures: bool = False
    ) -> list[str | Path]:
        """Unless it `measures`, matmul only prints its budget: measuring takes seconds."""
        sabotage = f"""
        import sys
        from functools import partial
        from rusty_py import calibration
        from rusty_py.bench import calibration as before_benchmarks, matmul

        command = [sys.executable, "-c", {FAKE!r}, {str(self.begun)!r}, {json.dumps(reports)!r}]
        faked = partial(calibration.calibrate_adapter, command=command)
        calibration.calibrate_adapter = before_benchmarks.calibrate_adapter = faked
        before_benchmarks._SHARE = 0.05
        if not {measures}:
            matmul.measure_and_report = lambda adapter, measure, options, output: print(options.max_time_s)
        """
        return [*driver(self.folder / "driver.py", sabotage), *arguments]

    def run(self, *arguments: str | Path, reports: object = REPORTS, measures: bool = False) -> Done:
        return run(self.command(*arguments, reports=reports, measures=measures), env=self.env)

    @property
    def times(self) -> int:
        """How often it was measured."""
        return len(self.begun.read_text().splitlines()) if self.begun.exists() else 0

    @property
    def is_kept(self) -> bool:
        return self.path.exists()


@pytest.fixture
def faked(tmp_path: Path) -> Faked:
    return Faked(tmp_path)


def test_the_figures_are_printed_kept_and_written(faked: Faked, tmp_path: Path) -> None:
    target = tmp_path / "mine.json"
    done = faked.run("calibrate", "--json", target)
    done.succeeds()
    lines = done.out.splitlines()
    for line in (
        "f32 arithmetic    99 GFLOPS",
        "cores             2 workgroups compute at a time",
        "dependent launch  31.50 us",
        f"note: {ALONE.name}: wrong: 3 of 9 elements",
        f"kept in {faked.path}",
    ):
        assert line in lines
    assert table(done.out) == [
        {"working set": "1 MiB", "copy": "11 GB/s", "read": "12 GB/s"},
        {"working set": "16 MiB", "copy": "7 GB/s", "read": ""},
    ]
    assert max(len(line) for line in lines if not line.startswith("kept")) <= 80
    (row,) = [line.split() for line in lines if line.startswith(f"{ALONE.name} ")]
    assert row[-2:] == ["17.5", "9.25"]
    assert "by GPU timestamps: timestamps agree with the wall clock" in done.out
    written, kept = (strict_json(path.read_text(encoding="utf-8")) for path in (target, faked.path))
    assert {name: written[name] for name in kept} == kept
    assert from_json(written).fma_gflops == 98.77
    assert written["clock"] == {"name": "gpu", "reason": "timestamps agree with the wall clock"}
    assert written["context"]["adapter"]["name"] == written["machine"]["adapter"]
    assert str(Path.home()) not in target.read_text(encoding="utf-8")


def test_a_written_profile_can_be_used_as_it_is(faked: Faked, tmp_path: Path) -> None:
    target = tmp_path / "mine.json"
    faked.run("calibrate", "--dry-run", "--json", target).succeeds()
    assert not faked.is_kept
    code = "import rusty_py as rp; a = rp.ones((40, 40)); print(rp.matmul.plan(a, a))"
    done = run([sys.executable, "-c", code], env={"RUSTY_PY_PROFILE": str(target)})
    done.succeeds()
    assert f", {from_json(strict_json(target.read_text(encoding='utf-8')))}\n" in done.out
    done = run([sys.executable, "-c", code], env=faked.env)
    done.succeeds()
    assert "not calibrated: " in done.out


def test_a_dry_run_needs_no_place_and_leaves_nothing(faked: Faked) -> None:
    faked.env["RUSTY_PY_PROFILE"] = "off"
    done = faked.run("calibrate", "--dry-run")
    done.succeeds()
    assert "kept in" not in done.out
    assert not faked.is_kept


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--max-time", "0"], 2, ["--max-time"]),
        (["--max-time", "nan"], 2, ["--max-time"]),
        (["--max-time", "inf"], 2, ["--max-time"]),
        (["--adapter", "no such"], 3, ["none matches 'no such'"]),
        (["--json", "/nonexistent/profile.json"], 2, ["/nonexistent/profile.json"]),
        (["--json", "{there}"], 2, ["exists; use --force"]),
        (["more"], 2, ["more"]),
    ],
    ids=lambda x: " ".join(map(str, x)) if isinstance(x, list) else str(x),
)
def test_what_cannot_be_is_refused_before_anything_is_measured(
    faked: Faked, arguments: list[str], code: int, says: list[str]
) -> None:
    there = faked.folder / "there.json"
    there.write_text("mine")
    faked.run("calibrate", *(each.format(there=there) for each in arguments)).refuses(code, *says)
    assert (faked.times, faked.is_kept, there.read_text()) == (0, False, "mine")


def test_errors_have_exit_codes_and_a_line(faked: Faked) -> None:
    faked.run("calibrate", reports=REPORTS[:3]).refuses(3, "calibrate: ", "status 0")
    faked.run("calibrate", reports=[REPORTS[0], REPORTS[-1]]).refuses(3, "fma_gflops, cores, launch_us")
    with cache_file.locked(faked.path, operation="test"):
        faked.run("calibrate").refuses(2, f"calibrate: locked by another process: {faked.path}")
    faked.env["RUSTY_PY_PROFILE"] = "off"
    faked.run("calibrate").refuses(2, "no place for the profile: RUSTY_PY_PROFILE=off: unset it")
    faked.env["RUSTY_PY_PROFILE"] = str(faked.begun / "profile.json")
    faked.run("calibrate").refuses(2, "cannot write", "set RUSTY_PY_PROFILE")
    assert (faked.times, faked.is_kept) == (2, False)
    rusty_bench("info", env={"RUSTY_PY_LIMITS": "threads=few"}).refuses(
        2, "RUSTY_PY_LIMITS='threads=few'", "NAME=N"
    )


def test_a_benchmark_calibrates_first_where_it_is_asked_to_once_and_its_output_is_its_own(
    faked: Faked,
) -> None:
    first = faked.run(*SMALL, "--calibrate", "--format", "json", measures=True)
    assert first.code == 0
    assert re.fullmatch(rf"calibrated in \d s, kept in {re.escape(str(faked.path))}\n", first.err)
    assert [each["by"] for each in kernels(strict_json(first.out))] == ["tile 8"]
    before = faked.path.read_bytes()
    second = faked.run(*SMALL, "--calibrate", "--format", "csv", measures=True)
    second.succeeds()
    assert len(second.out.splitlines()) >= 2
    assert all(line.count(",") >= 5 for line in second.out.splitlines())
    assert (faked.times, faked.path.read_bytes()) == (1, before)


def test_no_other_program_calibrates(faked: Faked) -> None:
    faked.run(*SMALL).succeeds()
    faked.run("--size", "33", "--tile", "8", "--runs", "1").succeeds()
    assert (faked.times, faked.is_kept) == (0, False)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting property name"),
        ('{"machine": {"adapter": "another"}}', "format None"),
        ('{"format": 2}', "format 2, this is 1"),
    ],
)
def test_a_profile_that_is_not_valid_is_noted_and_replaced(faked: Faked, content: str, why: str) -> None:
    faked.path.write_text(content)
    done = faked.run(*SMALL, "--calibrate")
    assert done.code == 0
    assert done.err.startswith(f"profile: {faked.path}: ignored: {why}")
    assert done.err.count("\n") == 1
    assert re.match(r"calibrated in \d s, kept in ", done.out)
    assert from_json(strict_json(faked.path.read_text(encoding="utf-8"))).calibrated


def test_a_calibration_that_fails_is_told_in_a_line_and_the_benchmark_runs(faked: Faked) -> None:
    def measures_and_says(done: Done, says: str) -> None:
        done.succeeds()
        assert done.out.startswith("not calibrated: calibrate: ")
        assert says in done.out.splitlines()[0]
        assert 0 < float(done.out.splitlines()[1]) <= 60

    measures_and_says(faked.run(*SMALL, "--calibrate", reports=[]), "ended with status 0")
    with cache_file.locked(faked.path, operation="test"):
        measures_and_says(faked.run(*SMALL, "--calibrate"), f"locked by another process: {faked.path}")
    faked.env["RUSTY_PY_PROFILE"] = str(faked.begun / "profile.json")
    done = faked.run(*SMALL, "--calibrate")
    assert (done.code, faked.times, faked.is_kept) == (0, 1, False)
    assert "Not a directory: ignored" in done.err
    assert done.out.startswith("not calibrated: calibrate: cannot write")


def test_where_nothing_is_kept_nothing_is_calibrated(faked: Faked) -> None:
    faked.env["RUSTY_PY_PROFILE"] = "off"
    faked.run(*SMALL, "--calibrate").succeeds()
    assert faked.times == 0


def test_the_program_without_arguments_calibrates_within_its_budget(faked: Faked) -> None:
    done = faked.run(reports=[*REPORTS[:-1], "hang"])
    done.succeeds()
    line, budget_s = done.out.splitlines()
    assert re.fullmatch(rf"calibrated in [34] s, kept in {re.escape(str(faked.path))}", line)
    assert 54 < float(budget_s) <= 57.5
    again = faked.run()
    again.succeeds()
    assert (float(again.out), faked.times) == (60, 1)


@pytest.mark.alone
@pytest.mark.parametrize("arguments", [("calibrate",), (*SMALL, "--calibrate")], ids=["itself", "before"])
def test_ctrl_c_ends_the_calibration_and_its_process(faked: Faked, arguments: tuple[str, ...]) -> None:
    command = faked.command(*arguments, reports=[*REPORTS[:4], "hang"])
    with started(command, env=faked.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        pid = _waited_for(lambda: faked.begun.exists() and faked.begun.read_text().strip())
        child.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, err = child.communicate(timeout=PATIENCE_S)
        assert time.monotonic() - start < 5
    assert (child.returncode, out, err) == (130, "", "interrupted\n")
    assert not psutil.pid_exists(int(pid))
    assert not faked.is_kept


def test_a_process_that_is_killed_takes_its_child_with_it(faked: Faked) -> None:
    """The real child, which ends with its standard input."""
    command = [sys.executable, "-m", "rusty_py.calibration.measuring"]
    job = {"adapter": 0, "until": time.time() + 60, "refused": []}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=os.environ) as child:
        assert child.stdin
        child.stdin.write(json.dumps(job).encode() + b"\n")
        child.stdin.flush()
        child.stdin.close()
        assert child.wait(timeout=PATIENCE_S) == 1


def _waited_for(found: Callable[[], str | bool]) -> str:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if said := found():
            return str(said)
        time.sleep(0.02)
    pytest.fail("it did not begin")
