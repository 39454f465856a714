"""The report of `transfer`, the names of sizes, and what its verification sees."""

import csv as std_csv
import io

import pytest
import typer

from rusty_py.bench import transfer as command
from rusty_py.bench.commands import parse_bytes
from rusty_py.bench.report import csv, json, table
from rusty_py.bench.report.transfer import findings, tables
from rusty_py.bench.transfer import MIB, row_name, size_name
from rusty_py.bench.transfer.copies import MEMCPY, NEW, OURS, PLAIN, STAGED, Arrays, verifier
from rusty_py.bench.transfer.torch_copies import PINNED
from rusty_py.errors import LimitError
from rusty_py.measure.document import Result

from .rows import row, transfer

FULL = transfer(
    row(row_name("upload", 4096), {MEMCPY: 1.0, OURS: 100.0, PLAIN: 200.0}, clock="wall", nbytes=4096),
    row(
        row_name("upload", 4 * MIB),
        {MEMCPY: 400.0, OURS: 500.0, STAGED: 1000.0, PLAIN: 2000.0, NEW: 4000.0, PINNED: 450.0},
        clock="wall",
        nbytes=4 * MIB,
    ),
    row(
        row_name("download", MIB),
        {MEMCPY: 100.0, OURS: 50.0, PLAIN: Result(PLAIN, "wrong", reason="1.00% of the words differ")},
        clock="wall",
        nbytes=MIB,
    ),
    row(row_name("download", 256 * MIB), {OURS: Result(OURS, "skipped", reason="no room")}, nbytes=256 * MIB),
)


def test_the_findings_are_made_from_the_rows() -> None:
    assert findings(FULL) == [
        "uploads from 1 MiB up: ours reaches 0.80 of memcpy's rate or more, least: upload 4 MiB",
        "uploads from 1 MiB up: ours reaches 4.00 of wgpu-py's rate or more, least: upload 4 MiB",
        "downloads from 1 MiB up: ours reaches 2.00 of memcpy's rate or more, least: download 1 MiB",
        "upload of 1M f32: ours is 2 times as fast (95 % interval 2 to 2) as staged, 1 ms to 0.5 ms;"
        " seed: 3.42 times, 1.55 ms to 0.45 ms, on Apple M2",
    ]
    assert findings(transfer()) == []


def test_a_single_pass_shows_no_spread() -> None:
    one = transfer(row(row_name("upload", 4096), {MEMCPY: [1.0], OURS: [100.0]}, clock="wall", nbytes=4096))
    (shown,) = tables(one)
    assert "± %" not in shown.header


def test_the_table_gives_rates_and_the_share_of_memcpy() -> None:
    text = table.render(FULL, wide=True)
    lines = {line[:17].strip(): line.split() for line in text.splitlines()}
    # 4 MiB in 400, 500, 1000, 2000, 4000 and 450 us.
    assert lines["upload 4 MiB"][3:] == ["10.5", "8.39", "0.1", "80%", "4.19", "2.10", "1.05", "9.32"]
    assert lines["upload 4 KiB"][3:] == ["4.10", "0.041", "0.1", "1%", "-", "0.02", "-", "-"]
    assert "WRONG" in lines["download 1 MiB"]
    assert "SKIPPED: download 256 MiB, ours: no room" in text
    assert PINNED in text
    assert "uploads map the buffer, downloads map the buffer" in text
    assert "uploads go through staging" in table.render(transfer(*FULL.rows, mapped=False), wide=True)


def test_csv_gives_rates_too() -> None:
    lines = list(std_csv.DictReader(io.StringIO(csv.render(FULL))))
    assert (lines[0]["implementation"], float(lines[0]["gb_per_s"])) == (MEMCPY, pytest.approx(4.096))


def test_json_reads_back() -> None:
    assert json.parse(json.render(FULL)) == FULL


@pytest.mark.parametrize(
    ("nbytes", "name"), [(4, "4 bytes"), (4096, "4 KiB"), (4100, "4100 bytes"), (1 << 30, "1 GiB")]
)
def test_sizes_have_the_names_that_people_give_them(nbytes: int, name: str) -> None:
    assert size_name(nbytes) == name
    assert parse_bytes(name.removesuffix(" bytes")) == nbytes


@pytest.mark.parametrize("text", ["", "0", "6", "1MB", "1.5MiB", "-4", "0KiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a size"):
        parse_bytes(text)


def test_a_copy_is_verified_by_data_that_it_has_not_seen() -> None:
    arrays = Arrays(4000)
    copied = arrays.source.copy()
    assert arrays.fault(copied) == ""
    assert verifier(arrays, lambda: None, lambda: copied)(lambda: None) == "100.00% of the words differ"
    assert (
        verifier(arrays, lambda: None, lambda: arrays.target)(lambda: None) == "100.00% of the words differ"
    )

    def copy() -> None:
        arrays.target[:-1] = arrays.source[:-1]

    assert verifier(arrays, lambda: None, lambda: arrays.target)(copy) == "0.10% of the words differ"
    assert arrays.fault(arrays.source[1:]) == "3996 bytes arrived of 4000"


def test_more_than_the_free_memory_is_refused_before_it_is_taken() -> None:
    with pytest.raises(LimitError, match="MiB are free"):
        command._ensure_room(1 << 60)
