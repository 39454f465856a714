"""The comparison with other libraries, as far as it needs none of them: options, order, processes, table."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import compare_peers
from benchmarks.peers.child import Answer, Task
from benchmarks.peers.contestant import Unavailable, sample
from benchmarks.peers.problems import Problem, operands, parse
from benchmarks.peers.proof import WrongProduct, prove
from benchmarks.peers.records import Comparison, Record, dumps, loads
from benchmarks.peers.roster import ROSTER, usual, visits
from benchmarks.peers.table import markdown
from benchmarks.peers.worker import Worker

TASK = Task(Problem(8, 4, 6), "f32", (1, 2, 3), samples=2, at_least_s=0.0)


def record(peer: str, ms: float, *, problem: str = "512×512×512", **fields: object) -> Record:
    made = Record(peer, problem, "f32", 2 * 512**3, (0,), "GPU events", 10, (ms / 1e3,), 0.2, "f32")
    return replace(made, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("512", Problem(512, 512, 512)),
        ("64x1000x32", Problem(64, 1000, 32)),
        ("8x512x256x128", Problem(512, 256, 128, batch=8)),
        (" 512:nt", Problem(512, 512, 512, layout="nt")),
    ],
)
def test_sizes_are_read(text: str, problem: Problem) -> None:
    assert parse(text) == problem


@pytest.mark.parametrize("text", ["", "0", "2x3", "1x2x3x4x5", "512:n", "512:xy", "-4", "4×4×4"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse(text)


def test_options_are_read() -> None:
    options = compare_peers.parsed(
        ["--sizes", "512,4x8x2", "--dtypes", "f16", "--peers", "numpy,rusty_py,numpy", "--seed", "7"]
    )
    assert options.problems == (Problem(512, 512, 512), Problem(4, 8, 2))
    assert (options.dtypes, options.peers, options.seed) == (("f16",), ("numpy", "rusty_py"), 7)


@pytest.mark.parametrize("arguments", [["--peers", "nobody"], ["--dtypes", "f64"], ["--sizes", "big"]])
def test_an_unknown_name_ends_with_what_there_is(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        compare_peers.parsed(arguments)
    assert arguments[1] in capsys.readouterr().err


def test_the_usual_peers_are_those_of_the_system() -> None:
    assert usual("linux")[0] == "cublas"
    assert usual("darwin")[:2] == ("mps", "mlx")
    assert {*usual("linux"), *usual("darwin")} <= set(ROSTER)


@pytest.mark.parametrize("turn", [0, 1])
def test_anchors_are_measured_at_both_ends_and_turns_alternate(turn: int) -> None:
    order = visits(["cublas", "ort", "numpy", "rusty_py"], turn)
    there = ["cublas", "ort", "numpy", "rusty_py"]
    assert order[:4] == (there[::-1] if turn else there)
    assert order[4:] == (["cublas", "rusty_py"] if turn else ["rusty_py", "cublas"])


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize("batch", [1, 3])
def test_operands_have_their_shape_and_layout_and_differ_by_seed(layout: str, batch: int) -> None:
    problem = Problem(5, 7, 4, batch=batch, layout=layout)
    a, b = operands(problem, dtype="f16", seed=(1, 0))
    lead = (batch,) if batch > 1 else ()
    assert (a.shape, b.shape) == ((*lead, 5, 7), (*lead, 7, 4))
    assert [x.flags.c_contiguous for x in (a, b)] == [way == "n" for way in layout]
    assert a.dtype == b.dtype == np.float16
    again, _ = operands(problem, dtype="f16", seed=(1, 0))
    other, _ = operands(problem, dtype="f16", seed=(1, 1))
    assert (a == again).all()
    assert (a != other).any()


@pytest.mark.parametrize("problem", [Problem(9, 40, 7), Problem(9, 40, 7, batch=3), Problem(600, 600, 600)])
def test_a_right_product_is_proved_and_a_wrong_one_is_not(problem: Problem) -> None:
    a, b = operands(problem, dtype="f32", seed=(4,))
    c = (a.astype(np.float64) @ b).astype(np.float32)
    assert prove(a, b, c).sums == "f32"
    c[..., -1, -1] += 1
    with pytest.raises(WrongProduct, match="times its bound"):
        prove(a, b, c)
    c[..., -1, -1] = np.nan
    with pytest.raises(WrongProduct, match="inf"):
        prove(a, b, c)
    with pytest.raises(WrongProduct, match="of shape"):
        prove(a, b, c[..., :-1])


def test_inputs_cut_to_eleven_bits_are_no_product_in_f32() -> None:
    a, b = operands(Problem(64, 4096, 64), dtype="f32", seed=(4,))
    cut = [(x.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32) for x in (a, b)]
    with pytest.raises(WrongProduct):
        prove(a, b, cut[0] @ cut[1])


def test_sums_in_f16_are_told_from_sums_in_f32() -> None:
    a, b = operands(Problem(16, 512, 16), dtype="f16", seed=(4,))
    assert prove(a, b, (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float16)).sums == "f32"
    c = np.zeros((16, 16), np.float16)
    for i in range(512):
        c += a[:, i, None] * b[None, i]
    assert prove(a, b, c).sums == "f16"


class Steady:
    """A product that takes so long a call, after a slow start."""

    clock = "wall"

    def __init__(self, call_s: float, *, start_s: float = 0.0) -> None:
        self.call_s, self.start_s, self.asked = call_s, start_s, []  # type: tuple[float, float, list[int]]

    def result(self) -> np.ndarray:
        raise AssertionError("only timed")

    def seconds(self, calls: int) -> float:
        self.asked.append(calls)
        start_s = self.start_s if len(self.asked) == 1 else 0
        return start_s + calls * self.call_s


def test_samples_are_long_and_follow_a_warm_up_as_long() -> None:
    product = Steady(1e-3, start_s=0.05)
    calls, samples_s = sample(product, at_least_s=0.1, samples=3)
    assert calls >= 100
    assert product.asked[-4:] == [calls] * 4
    assert samples_s == pytest.approx([1e-3] * 3)


def test_a_clock_that_says_nothing_gives_no_figure() -> None:
    with pytest.raises(Unavailable, match="noise"):
        sample(Steady(0.0), at_least_s=0.1, samples=2)


def test_the_table_has_rates_ratios_drift_and_clocks() -> None:
    records = (
        record("cublas", 1.0),
        record("rusty_py", 2.0, clock="GPU timestamps"),
        record("ort", 4.0, clock="wall, 8 products in a chain less one", sums="f16"),
        record("rusty_py", 2.0, clock="GPU timestamps"),
        record("cublas", 1.25),
    )
    text = markdown(Comparison(("cublas", "rusty_py", "ort"), records, about={"ort": {"device": "a card"}}))
    head, _, row = (line.split("|")[1:-1] for line in text.splitlines()[:3])
    assert [cell.strip() for cell in head][2:] == [
        "cuBLAS (GPU events)",
        "rusty_py (GPU timestamps)",
        "ONNX Runtime WebGPU (wall)",
        "drift",
    ]
    assert [cell.strip() for cell in row] == [
        "512×512×512",
        "f32",
        "239 (0.56)",
        "134",
        "67.1* (2.00)",
        "cuBLAS -20.0%, rusty_py +0.0%",
    ]
    assert "- ONNX Runtime WebGPU: device a card, clock: wall, 8 products in a chain less one" in text


def test_a_peer_that_fails_once_has_no_figure_but_a_reason() -> None:
    records = (
        record("cublas", 1.0),
        record("rusty_py", 2.0),
        record("cublas", 1.0, samples_s=(), failure="wrong: the error is 9 times its bound"),
        record("ort", 1.0, samples_s=(), failure="no package"),
        record("ort", 1.0, problem="8×8×8", samples_s=(), failure="no package"),
    )
    text = markdown(Comparison(("cublas", "rusty_py", "ort"), records))
    assert "not available [1]" in text
    assert "- [1] cuBLAS: wrong: the error is 9 times its bound" in text
    assert text.count("not available [2]") == 2
    assert text.count("no package") == 1
    assert "not measured" in text
    assert "(" not in text.splitlines()[2]


def test_a_file_holds_the_whole_comparison() -> None:
    comparison = Comparison(
        ("cublas",), (record("cublas", 1.0), record("cublas", 1.0, samples_s=())), {"date": "today"}, {}
    )
    assert loads(dumps(comparison)) == comparison


def test_peers_are_asked_in_order_and_visits_share_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    options = compare_peers.parsed(
        ["--sizes", "8", "--dtypes", "f32", "--peers", "rusty_py,numpy", "--seed", "5"]
    )
    asked: list[tuple[str, tuple[int, ...]]] = []

    def ask(peer: str, task: Task) -> Answer:
        asked.append((peer, task.seed))
        if peer == "numpy":
            return Answer(failure="no package")
        return Answer("wall", 1, (1.0,), 0.5, "f32", about={"device": "a card"})

    *_, last = compare_peers.compared(Comparison(options.peers, ()), options, ask)
    assert asked == [("rusty_py", (5, 0, 0)), ("numpy", (5, 0, 0)), ("rusty_py", (5, 0, 1))]
    assert [each.failure for each in last.records] == ["", "no package", ""]
    assert last.about == {"rusty_py": {"device": "a card"}}
    assert "not available: no package" in capsys.readouterr().err


def python(text: str) -> Sequence[str]:
    return sys.executable, "-c", text


def test_a_process_that_crashes_is_a_reason_with_its_last_words() -> None:
    text = "import os, sys; input(); sys.stderr.write('a driver says why\\n'); sys.stderr.flush(); os.abort()"
    with Worker("numpy", timeout_s=60, command=python(text)) as worker:
        failures = [worker.ask(TASK).failure for _ in range(3)]
    # The platform's own words may follow.
    assert failures[0].startswith("its process was ended by SIGABRT: a driver says why")
    assert failures[0] == failures[1]
    assert failures[2].startswith("not asked again after: its process was ended by SIGABRT")


def test_a_process_that_hangs_meets_the_time_limit() -> None:
    with Worker("numpy", timeout_s=0.2, command=python("import time; time.sleep(600)")) as worker:
        assert worker.ask(TASK).failure == "no answer within 0.2 s"


def test_a_process_that_has_ended_before_it_is_asked_is_a_reason() -> None:
    with Worker("numpy", timeout_s=60, command=python("raise SystemExit(3)")) as worker:
        worker._start().wait()
        assert worker.ask(TASK).failure == "its process ended with status 3"


def test_a_missing_package_is_a_reason_and_the_process_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "import sys; sys.modules['onnxruntime'] = None; sys.argv = ['', 'ort'];"
        "from benchmarks.peers.child import main; main('ort')"
    )
    with Worker("ort", timeout_s=60, command=python(text)) as worker:
        answers = [worker.ask(TASK) for _ in range(2)]
        assert not worker.ends
    assert all("onnxruntime" in answer.failure for answer in answers)


def test_a_peer_answers_with_a_proved_and_timed_product() -> None:
    with Worker("numpy", timeout_s=60) as worker:
        answer = worker.ask(TASK)
    assert (answer.failure, answer.sums, len(answer.samples_s)) == ("", "f32", 2)
    assert answer.error is not None
    assert answer.error <= 1


def test_a_file_that_was_kept_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peers.json"
    arguments = ["--sizes", "8", "--dtypes", "f32,f16", "--peers", "numpy", "--min-time", "0"]
    assert compare_peers.main([*arguments, "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert compare_peers.main(["--show", str(path)]) == 0
    assert capsys.readouterr().out == printed
    assert "- [1] NumPy: BLAS has no f16" in printed
    assert json.loads(path.read_text(encoding="utf-8"))["context"]["packages"]["numpy"]
