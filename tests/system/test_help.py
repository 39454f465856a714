"""What the program says of itself, of the machine and of its health."""

import json
import re
import sys

import pytest

import rusty_py

from .program import NO_DRIVER, Sabotaged, python, rusty_bench, strict_json

COMMANDS = (
    *("matmul", "conv2d", "activation", "elementwise", "fused", "norm", "reduce", "scan", "run", "kernel"),
    *("compare", "report", "overhead", "transfer", "tune", "calibrate", "info", "doctor", "check"),
)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--help"], ["matmul", "overhead", "transfer", "info", "doctor", "--version"]),
        (["-h"], ["matmul", "overhead", "transfer", "info", "doctor", "--version"]),
        (
            ["matmul", "--help"],
            [
                *(
                    "--size",
                    "--preset",
                    "--tile",
                    "--dtype",
                    "--accumulate-dtype",
                    "--adapter",
                    "--runs",
                    "--max-time",
                ),
                *("--json", "--ascii"),
            ],
        ),
        (["overhead", "--help"], ["--adapter", "--runs", "--max-time", "--format", "--json", "--ascii"]),
        (["transfer", "--help"], ["--size", "--adapter", "--runs", "--json", "--ascii"]),
        (
            ["tune", "--help"],
            [
                "--size",
                "--preset",
                "--dtype",
                "--accumulate-dtype",
                "--max-time",
                "--list",
                "--clear",
                "--dry-run",
            ],
        ),
        (["calibrate", "--help"], ["--adapter", "--max-time", "--json", "--force", "--dry-run", "--ascii"]),
        (["compare", "--help"], ["--fail-over", "--format", "--ascii"]),
        (["info", "--help"], ["--format", "--adapter"]),
        (["doctor", "-h"], ["--adapter"]),
    ],
    ids=" ".join,
)
def test_help_needs_no_driver_and_names(arguments: list[str], says: list[str]) -> None:
    done = rusty_bench(*arguments, env=NO_DRIVER)
    done.succeeds()
    for word in says:
        assert word in done.out


def test_an_option_is_one_line_of_80_columns() -> None:
    for command in COMMANDS:
        lines = rusty_bench(command, "--help").out.partition("\nOptions:\n")[2].splitlines()
        assert lines
        assert [line for line in lines if not line.startswith("  -") or len(line) > 80] == [], command


def test_the_help_names_each_command_in_a_line_and_the_one_that_is_meant_without() -> None:
    said = rusty_bench("--help").out
    assert "Usage: rusty-bench [OPTIONS] [COMMAND]" in said
    assert "Without a command, matmul runs, and its options are accepted." in said
    commands = said.partition("\nCommands:\n")[2].splitlines()
    assert len(commands) == len(COMMANDS)
    assert not any(line.endswith("...") for line in commands)


def test_a_shell_completes_commands_and_the_options_of_the_one_that_is_meant() -> None:
    def completed(*words: str) -> list[str]:
        env = {
            "_RUSTY_BENCH_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["rusty-bench", *words]),
            "COMP_CWORD": str(len(words)),
        }
        return rusty_bench(env=env).out.split()

    assert {"matmul", "tune", "check"} <= set(completed(""))
    assert completed("--ti") == ["--tile"]
    assert completed("--ver") == ["--version"]
    assert completed("--size", "64", "--ti") == ["--tile"]
    assert completed("tune", "--dry") == ["--dry-run"]
    assert completed("--he") == ["--help"]


def test_help_comes_without_loading_numpy_or_wgpu() -> None:
    done = python(
        """
        import sys
        from rusty_py.bench.commands import app
        try:
            app(["--help"])
        except SystemExit as leave:
            assert not leave.code
        print(sorted({"numpy", "wgpu"} & set(sys.modules)), file=sys.stderr)
        """,
        anew=True,
    )
    assert (done.code, done.err) == (0, "[]\n")


def test_help_is_ascii_where_the_terminal_knows_nothing_else() -> None:
    done = rusty_bench("matmul", "--help", env={"PYTHONIOENCODING": "ascii"})
    done.succeeds()
    assert done.out.isascii()


def test_version_is_the_packages() -> None:
    done = rusty_bench("--version")
    done.succeeds()
    assert done.out == f"{rusty_py.__version__}\n"


@pytest.mark.usefixtures("adapter")
def test_info_lists_adapters_limits_and_the_machine() -> None:
    done = rusty_bench("info")
    done.succeeds()
    lines = dict(line.strip().partition(":")[::2] for line in done.out.splitlines())
    for label in ("name", "backend", "type", "driver", "workgroup memory", "cpu", "RAM", "numpy"):
        assert lines[label].strip(), label
    assert re.fullmatch(r" \d+ [KM]iB", lines["workgroup memory"])
    assert re.fullmatch(r" [\d,]+\.\d GiB", lines["RAM"])
    assert max(map(len, done.out.splitlines())) < 250
    assert lines["adapters"].strip().startswith("0: ")


@pytest.mark.usefixtures("adapter")
def test_info_lists_every_feature_where_asked_to() -> None:
    features = strict_json(rusty_bench("info", "--format", "json").out)["adapter"]["features"]
    for arguments, complete in ((["--all"], True), ([], False)):
        lines = rusty_bench("info", *arguments).out.splitlines()
        (shown,) = (line.strip() for line in lines if line.startswith("  features:"))
        assert (shown == f"features: {', '.join(features)}") == complete
        assert ("timestamp-query" in shown) == ("timestamp-query" in features)


@pytest.mark.usefixtures("adapter")
def test_info_as_json_describes_the_same_machine() -> None:
    done = rusty_bench("info", "--format", "json")
    done.succeeds()
    facts = strict_json(done.out)
    assert facts["rusty_py"]["version"] == rusty_py.__version__
    assert facts["adapter"]["limits"]["threads"] >= 128  # WebGPU's least is 256; a driver may offer less.
    assert facts["python"]["version"] == sys.version.split()[0]
    assert facts["packages"].keys() >= {"wgpu", "wgpu-native", "numpy"}
    assert f"0: {facts['adapter']['name']}" in facts["adapters"][0]


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("format", ["md", "csv"])
def test_info_refuses_a_format_that_it_does_not_have(format: str) -> None:
    rusty_bench("info", "--format", format).refuses(2, "--format", format)


@pytest.mark.usefixtures("adapter")
def test_an_adapter_is_chosen_by_index_name_backend_and_environment() -> None:
    first = strict_json(rusty_bench("info", "--format", "json").out)["adapter"]
    by = (
        (["--adapter", str(first["index"])], {}),
        (["--adapter", first["name"][:8].upper()], {}),
        (["--adapter", first["backend"].lower()], {}),
        ([], {"RUSTY_PY_ADAPTER": first["name"]}),
    )
    for arguments, env in by:
        done = rusty_bench("info", "--format", "json", *arguments, env=env)
        done.succeeds()
        assert json.loads(done.out)["adapter"]["name"] == first["name"]


@pytest.mark.usefixtures("adapter")
def test_doctor_finds_a_healthy_machine_healthy() -> None:
    done = rusty_bench("doctor", "--ascii")
    done.succeeds()
    marks = {line.split()[0] for line in done.out.splitlines()}
    assert marks <= {"ok", "note", "->"}
    for what in ("wgpu-native", "shaders", "adapter", "matmul, tile 8, unchecked: right", "clock"):
        assert what in done.out


@pytest.mark.usefixtures("adapter")
def test_doctor_names_a_kernel_that_the_driver_gets_wrong(sabotaged: Sabotaged) -> None:
    done = sabotaged(
        """
        from rusty_py import oracle

        honest = oracle.matmul

        def off_by_one(a, b, **options):
            product, bound = honest(a, b, **options)
            return product + 1, bound

        oracle.matmul = off_by_one
        """,
        "doctor",
    )
    assert (done.code, done.err) == (1, "")
    assert "FAIL matmul, tile 8, unchecked: wrong results\n     -> " in done.out


@pytest.mark.usefixtures("adapter")
def test_doctor_outlives_a_driver_that_crashes_and_says_where(sabotaged: Sabotaged) -> None:
    done = sabotaged(
        """
        import os
        from rusty_py.bench import doctor

        def crash(adapter):
            yield doctor.Diagnosis("the first kernel", "right")
            os.abort()

        doctor._on_device = crash
        """,
        "doctor",
        patience_s=30,  # A crash shows at once; only a hang deserves the minute.
    )
    assert (done.code, "Traceback" in done.err) == (1, False)
    assert "crashed" in done.out
    assert "the first kernel" in done.out
