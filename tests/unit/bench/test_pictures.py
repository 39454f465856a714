"""Pictures of a run, and the report of a result file."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rusty_py.bench.commands import app
from rusty_py.bench.compare import ResultFileError, read
from rusty_py.bench.report import json, markdown
from rusty_py.bench.report.files import FileError
from rusty_py.bench.report.pictures import RATIOS, TIMES, draw, ratios, times

from .runs import full_run
from .test_convolutions import seed_run

PNG = b"\x89PNG\r\n"


def test_times_and_ratios_are_those_of_the_run() -> None:
    assert times(seed_run())["PyTorch"]["800×600 3:64"] == pytest.approx(1.0809)
    assert {by: len(each) for by, each in ratios(seed_run()).items()} == {"basic": 3, "optimized": 3}
    assert ratios(seed_run())["basic"]["800×600 3:64"] == pytest.approx(1080.9 / 12591)
    assert set(times(full_run())) == {"naive", "tile 16", "NumPy"}


def test_both_pictures_are_drawn(tmp_path: Path) -> None:
    draw(seed_run(), tmp_path / "new")
    for name in (TIMES, RATIOS):
        assert (tmp_path / "new" / name).read_bytes().startswith(PNG)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder, said in ((file, "File exists"), (file / "inside", "Not a directory")):
        with pytest.raises(FileError, match=f"^{re.escape(str(folder))}: {said}$"):
            draw(seed_run(), folder)


def test_a_file_without_end_is_not_read_to_the_end() -> None:
    with pytest.raises(
        ResultFileError, match=r"^/dev/zero: not a result file: more than 67108864 characters$"
    ):
        read(Path("/dev/zero"))


def test_the_report_of_a_file_is_that_of_its_run(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.render(seed_run()), encoding="utf-8")
    done = CliRunner().invoke(app, ["report", str(file), "--format", "md", "--plot", str(tmp_path)])
    assert done.exit_code == 0
    assert done.stdout.strip() == markdown.render(seed_run()).strip()
    assert (tmp_path / TIMES).exists()
