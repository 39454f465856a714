"""What is refused, with which exit code, and whether the user is told why in a line."""

import os
import sys
from pathlib import Path

import pytest

from .program import NO_DRIVER, SCRIPT, Sabotaged, python, run, rusty_bench, strict_json, table

SMALL = ("matmul", "--size", "33", "--tile", "8", "--runs", "1")

no_metal = pytest.mark.skipif(sys.platform == "darwin", reason="Metal cannot be taken away")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tile", "64"], ["--tile", "'64'", "auto, naive, 8, 16 or 32"]),
        (["--tile", "8.0"], ["--tile", "'8.0'"]),
        (["--tile", "8,64"], ["--tile", "'64'"]),
        (["--size", "0"], ["--size", "'0'", "1 or more"]),
        (["--size", "abc"], ["--size", "'abc'", "MxKxN"]),
        (["--size", "-5"], ["--size", "'-5'"]),
        (["--size", "64,abc"], ["--size", "'abc'"]),
        (["--size", "64,"], ["--size", "''"]),
        (["--size", "64x64"], ["--size", "'64x64'"]),
        (["--size", "64x0x64"], ["--size", "'64x0x64'"]),
        (["--size", "1e3"], ["--size", "'1e3'"]),
        (["--size", "1x2x3x4x5"], ["--size", "'1x2x3x4x5'", "PxMxKxN"]),
        (["--size", "64:nx"], ["--size", "'64:nx'", ":tn"]),
        (["--preset", "all"], ["--preset", "'all'", "shapes"]),
        (["--preset", "shapes", "--size", "64"], ["--preset", "--size"]),
        (["--dtype", "f64"], ["'f64'", "f32", "f16"]),
        (["--accumulate-dtype", "f16"], ["--accumulate-dtype", "--dtype f16"]),
        (["--runs", "0"], ["--runs"]),
        (["--runs", "many"], ["--runs", "integer"]),
        (["--runs", "3", "--min-time", "1"], ["--runs", "--min-time"]),
        (["--warmup", "-1"], ["--warmup"]),
        (["--max-time", "0"], ["--max-time"]),
        (["--max-time", "nan"], ["--max-time"]),
        (["--max-time", "inf"], ["--max-time"]),
        (["--peak", "0"], ["--peak"]),
        (["--peak", "inf"], ["--peak"]),
        (["--format", "xml"], ["--format", "xml"]),
        (["--sise", "64"], ["--sise", "--size"]),
        (["64"], ["64"]),
    ],
    ids=lambda x: " ".join(x),
)
def test_a_usage_error_needs_no_driver_and_names(arguments: list[str], says: list[str]) -> None:
    # Without a driver, an argument that is not refused ends with 3 and not with a long run.
    rusty_bench("matmul", *arguments, env=NO_DRIVER).refuses(2, *says)


def test_without_a_command_matmuls_options_are_taken_and_refused() -> None:
    for arguments, says in (
        (["--size", "64x64"], ["matmul", "--size", "'64x64'"]),
        (["--tile=7"], ["matmul", "--tile", "'7'"]),
        (["--sise", "64"], ["matmul", "--sise", "--size"]),
        (["--size", "512", "tune"], ["options follow their command: write rusty-bench tune --size 512"]),
        (["--dry-run", "tune"], ["options follow their command: write rusty-bench tune --dry-run"]),
        (["--size", "512", "64"], ["64"]),
    ):
        rusty_bench(*arguments, env=NO_DRIVER).refuses(2, *says)


@no_metal
def test_the_value_of_an_option_is_not_a_command() -> None:
    rusty_bench("--adapter", "info", env=NO_DRIVER).refuses(3)


def test_an_unknown_command_is_a_usage_error() -> None:
    rusty_bench("matmull").refuses(2, "matmull")


@pytest.mark.parametrize("arguments", [("check", "-"), ("tune", "--list"), ("info",)], ids=" ".join)
def test_an_error_that_nobody_expected_is_not_taken_for_findings(
    arguments: tuple[str, ...], sabotaged: Sabotaged
) -> None:
    done = sabotaged(
        """
        from rusty_py.runtime import adapter
        from rusty_py.bench import checking, tuning

        def fail(*arguments, **options):
            raise RuntimeError("no such luck")

        adapter.choose = checking.read_wgsl = tuning.listing = fail
        """,
        *arguments,
    )
    assert (done.code, done.out) == (70, "")
    assert "Traceback" in done.err
    assert done.err.endswith("error: internal error, please report it: RuntimeError('no such luck')\n")


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("command", ["matmul", "info"])
def test_an_adapter_that_does_not_exist_is_refused_with_those_that_do(command: str) -> None:
    first = strict_json(rusty_bench("info", "--format", "json").out)["adapter"]
    rusty_bench(command, "--adapter", "nosuch").refuses(3, "'nosuch'", f"0: {first['name']}")


@pytest.mark.usefixtures("adapter")
def test_f16_on_an_adapter_without_it_is_refused_by_its_name(sabotaged: Sabotaged) -> None:
    name = strict_json(rusty_bench("info", "--format", "json").out)["adapter"]["name"]
    done = sabotaged(
        """
        from dataclasses import replace
        from rusty_py.runtime import adapter

        choose = adapter.choose

        def without_f16(which):
            chosen = choose(which)
            return replace(chosen, features=chosen.features - {"shader-f16"})

        adapter.choose = without_f16
        """,
        *("matmul", "--dtype", "f16", "--size", "64"),
    )
    done.refuses(2, name, "does not compute in f16", "--dtype f32")


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("which", ["99", "-1"])
def test_an_adapter_index_out_of_range_is_refused(which: str) -> None:
    rusty_bench("info", "--adapter", which).refuses(3, which)


@no_metal
@pytest.mark.parametrize("arguments", [["matmul"], ["info"], ["info", "--format", "json"]], ids=" ".join)
def test_without_a_driver_the_message_says_what_to_install(arguments: list[str]) -> None:
    rusty_bench(*arguments, env=NO_DRIVER).refuses(3, "install", "Vulkan driver", "mesa-vulkan-drivers")


@no_metal
def test_doctor_without_a_driver_says_what_to_install() -> None:
    done = rusty_bench("doctor", env=NO_DRIVER)
    assert (done.code, done.err) == (3, "")
    failed = done.out[done.out.index("FAIL") :]
    assert failed.startswith("FAIL adapter: ")
    assert "\n     -> install your GPU's Vulkan driver" in failed
    assert "mesa-vulkan-drivers" in failed


@no_metal
def test_matmul_in_python_without_a_driver_raises_no_adapter() -> None:
    done = python(
        """
        import numpy as np
        import rusty_py

        a = np.ones((3, 3), np.float32)
        try:
            rusty_py.matmul(a, a)
        except rusty_py.NoAdapter as error:
            print(error)
        """,
        env=NO_DRIVER,
    )
    done.succeeds()
    assert "mesa-vulkan-drivers" in done.out


@pytest.mark.usefixtures("adapter")
def test_matmul_in_python_is_right_and_quiet_with_all_warnings_on() -> None:
    done = python(
        """
        import numpy as np
        import rusty_py

        rng = np.random.default_rng(0)
        a, b = rng.standard_normal((64, 33), np.float32), rng.standard_normal((33, 70), np.float32)
        c = rusty_py.matmul(a, b)
        exact = a.astype(np.float64) @ b
        # Twice the bound of a sum of 33 products (Higham 2002, section 3.1).
        bound = 2 * 33 * 2.0**-24 * (np.abs(a).astype(np.float64) @ np.abs(b))
        print((np.abs(c - exact) <= bound).all(), c.dtype, c.shape)
        """,
        env={"PYTHONWARNINGS": "default", "PYTHONDEVMODE": None},
    )
    done.succeeds()
    assert done.out == "True float32 (64, 70)\n"


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("option", ["--json", "--out"])
def test_files_in_a_missing_directory_are_refused_before_measuring(option: str, tmp_path: Path) -> None:
    rusty_bench(*SMALL, option, tmp_path / "missing" / "x").refuses(2, "missing", "No such file or directory")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("adapter")
def test_a_directory_is_no_json_file(tmp_path: Path) -> None:
    rusty_bench(*SMALL, "--json", tmp_path).refuses(2, str(tmp_path), "regular file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("adapter")
def test_a_file_is_no_out_directory(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    rusty_bench(*SMALL, "--out", tmp_path / "out").refuses(2, "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.usefixtures("adapter")
def test_the_message_about_an_out_directory_names_it_and_nothing_else(tmp_path: Path) -> None:
    done = rusty_bench(*SMALL, "--out", tmp_path / "missing")
    assert done.err == f"error: {tmp_path / 'missing'}: No such file or directory\n"


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("option", ["--json", "--out"])
def test_a_place_nobody_can_write_to_is_refused_before_measuring(option: str) -> None:
    where = Path("/proc") / ("x.json" if option == "--json" else "")
    rusty_bench(*SMALL, option, where).refuses(2, str(where))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only directories")
@pytest.mark.usefixtures("adapter")
def test_a_read_only_directory_is_refused_before_measuring(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    rusty_bench(*SMALL, "--json", tmp_path / "x.json").refuses(2, "x.json", "Permission denied")


@pytest.mark.usefixtures("adapter")
def test_an_existing_json_file_is_replaced_only_with_force(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    target.write_text("mine")
    rusty_bench(*SMALL, "--json", target).refuses(2, str(target), "--force")
    assert target.read_text() == "mine"
    rusty_bench(*SMALL, "--json", target, "--force").succeeds()
    assert strict_json(target.read_text(encoding="utf-8"))["schema_version"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.usefixtures("adapter")
def test_a_full_disk_is_noticed_before_measuring_and_leaves_nothing(tmp_path: Path) -> None:
    small_files = ["sh", "-c", 'ulimit -f 8; exec "$0" "$@"', SCRIPT]
    run([*small_files, *SMALL, "--json", tmp_path / "run.json"]).refuses(2, "run.json", "File too large")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("option", ["--json", "--out"])
def test_a_disk_that_fills_up_while_measuring_costs_the_file_but_not_the_table(
    option: str, tmp_path: Path, sabotaged: Sabotaged
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = sabotaged(
        """
        import resource
        from rusty_py.bench.report import files

        write = files.write

        def write_to_a_full_disk(path, text):
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            write(path, text)

        files.write = write_to_a_full_disk
        """,
        *(*SMALL, option, out / "run.json" if option == "--json" else out),
    )
    done.fails(2, str(out), "File too large")
    assert float(table(done.out)[0]["GFLOPS"]) > 0
    assert list(out.iterdir()) == []


@pytest.mark.usefixtures("adapter")
def test_a_disk_that_fills_up_leaves_the_file_that_was_to_be_replaced(
    tmp_path: Path, sabotaged: Sabotaged
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("mine")
    done = sabotaged(
        """
        import resource
        from rusty_py.bench.output import Output

        render = Output.render

        def render_and_fill_the_disk(self, run):
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            return render(self, run)

        Output.render = render_and_fill_the_disk
        """,
        *(*SMALL, "--json", out / "run.json", "--force"),
    )
    done.fails(2, "run.json", "File too large")
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("run.json", "mine")]
