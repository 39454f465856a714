"""What is printed: in one write, and without control characters."""

import io
import json
from typing import TYPE_CHECKING

import pytest

from rusty_py.bench.output import complain, show

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Raw(io.RawIOBase):
    """A stream that keeps each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: "Buffer") -> int:
        self.writes.append(bytes(data))
        return len(self.writes[-1])


def test_a_text_is_printed_by_one_write_so_that_no_reader_leaves_within_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = Raw()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8"))
    show("═" * 5000, ascii=False)
    assert raw.writes == [("═" * 5000 + "\n").encode()]


def test_control_characters_are_escaped_and_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    name = "\x1b[31mred\x7f\x9b\r"
    show(json.dumps({"name": name}, ensure_ascii=False), ascii=False)
    printed = capsys.readouterr().out
    assert printed.rstrip("\n").isprintable()
    assert json.loads(printed) == {"name": name}
    complain(f"error: {name}\n\tmore")
    assert capsys.readouterr().err == "error: \\u001b[31mred\\u007f\\u009b\\u000d\n\tmore\n"
