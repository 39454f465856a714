"""`rusty-bench transfer` as its users see it."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from rusty_py.bench.report.json import parse, render, schema
from rusty_py.bench.transfer.copies import MEMCPY, OURS, PLAIN, STAGED

from .program import Sabotaged, rusty_bench, strict_json, table

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("adapter")]


def test_each_direction_and_size_has_a_row_with_rates(tmp_path: Path) -> None:
    target = tmp_path / "transfer.json"
    sizes = ("--size", "4KiB", "--size", "4MiB", "--size", "4100")
    done = rusty_bench("transfer", *sizes, "--runs", "3", "--ascii", "--json", target)
    done.succeeds()
    assert done.out.isascii()
    rows = table(done.out)
    names = [f"{way} {size}" for size in ("4 KiB", "4 MiB", "4100 bytes") for way in ("upload", "download")]
    assert [row["GB/s"] for row in rows] == names
    for row in rows:
        assert all(float(row[by]) > 0 for by in (MEMCPY, OURS, STAGED, PLAIN))
    assert "upload of 1M f32: ours is " in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    text = target.read_text(encoding="utf-8")
    document = strict_json(text)
    Draft202012Validator(schema()).validate(document)
    assert render(parse(text)) + "\n" == text
    results = [each for row in document["rows"] for each in row["results"]]
    assert {len(each["samples"]["wall_ns"]) for each in results} == {3}
    assert {each["clock"] for each in results} == {"wall"}
    assert document["context"]["transfers"].keys() == {"mapped_read", "mapped_write"}


def test_a_size_beyond_the_adapter_is_skipped_and_says_why() -> None:
    done = rusty_bench("transfer", "--size", "999999GiB", "--runs", "1")
    done.succeeds()
    assert "SKIPPED: upload 999999 GiB" in done.out
    assert "SKIPPED: download 999999 GiB" in done.out


def test_a_path_that_loses_a_byte_is_wrong_and_has_no_rate(sabotaged: Sabotaged) -> None:
    done = sabotaged(
        """
        from rusty_py.runtime.transfer import Transfer

        honest = Transfer.download

        def lossy(self, memory, out):
            honest(self, memory, out)
            out[-1] ^= 1

        Transfer.download = lossy
        """,
        *("transfer", "--size", "4KiB", "--runs", "2"),
    )
    assert (done.code, done.err) == (4, "")
    up, down = table(done.out)
    assert float(up[OURS]) > 0
    assert (down[OURS], down["of memcpy"], down[STAGED]) == ("WRONG", "", "WRONG")
    assert float(down[PLAIN]) > 0
    assert "WRONG: download 4 KiB, ours: 0.10% of the words differ" in done.out


def test_sizes_may_stand_in_one_option() -> None:
    done = rusty_bench("transfer", "--size", "4KiB,8KiB", "--size", "4096", "--runs", "1")
    done.succeeds()
    names = [f"{way} {size}" for size in ("4 KiB", "8 KiB") for way in ("upload", "download")]
    assert [row["GB/s"] for row in table(done.out)] == names


@pytest.mark.parametrize("size", ["4MB", "6", "0", "4KiB,6"])
def test_what_is_no_size_is_refused(size: str) -> None:
    rusty_bench("transfer", "--size", size).refuses(2, "--size", "is not a size")


@pytest.mark.parametrize("command", ["overhead", "transfer"])
def test_a_file_that_is_there_is_refused_before_anything_is_measured(command: str, tmp_path: Path) -> None:
    target = tmp_path / "there.json"
    target.write_text("mine", encoding="utf-8")
    rusty_bench(command, "--json", target).refuses(2, "exists", "--force")
    assert target.read_text(encoding="utf-8") == "mine"


def test_ctrl_c_keeps_the_rows_that_were_measured(sabotaged: Sabotaged, tmp_path: Path) -> None:
    done = sabotaged(
        """
        from rusty_py.bench.transfer import copies

        def interrupt(devices, arrays):
            raise KeyboardInterrupt

        copies.downloads = interrupt
        """,
        *("transfer", "--size", "4KiB", "--runs", "2", "--json", tmp_path / "part.json"),
    )
    assert done.code == 130
    assert "Traceback" not in done.err
    assert [row["GB/s"] for row in table(done.out)] == ["upload 4 KiB"]
    assert "interrupted: these rows are what was measured before" in done.out
    assert strict_json((tmp_path / "part.json").read_text())["interrupted"] is True
