"""The documentation shows what `rusty-bench check` prints."""

import os

import pytest

from .markdown import Block, blocks, commands
from .program import ROOT, SCRIPT, Done, environment, run

PAGE = ROOT / "docs" / "check-examples.md"
PAGES = [PAGE, ROOT / "README.md"]
KERNELS = ROOT / "examples" / "checker"
CLEAN, FINDINGS = 0, 1

NEEDS_CHECKER = pytest.mark.usefixtures("checker")


def shown(markdown: str) -> list[tuple[str, str]]:
    """The command and the output of each block of `console`, one of each."""
    return [(_command(block), _output(block)) for block in blocks(markdown) if block.language == "console"]


def _command(block: Block) -> str:
    (command,) = commands(f"```console\n{block.text}```\n")
    return command.text


def _output(block: Block) -> str:
    lines = block.text.splitlines(keepends=True)
    behind = next(i for i, line in enumerate(lines) if not line.endswith("\\\n"))
    return "".join(lines[behind + 1 :])


def printed(command: str) -> Done:
    """What a command prints at the root of the checkout."""
    path = os.pathsep.join([str(SCRIPT.parent), environment()["PATH"]])
    return run(["sh", "-c", command], cwd=ROOT, env={"PATH": path})


@NEEDS_CHECKER
@pytest.mark.parametrize(
    ("command", "output"), [pair for page in PAGES for pair in shown(page.read_text(encoding="utf-8"))]
)
def test_a_page_shows_what_the_program_prints(command: str, output: str) -> None:
    done = printed(command)
    assert (done.code, done.err) == (FINDINGS, "")
    assert done.out == output


def test_the_page_shows_the_kernels_as_they_are() -> None:
    texts = [block.text for block in blocks(PAGE.read_text(encoding="utf-8")) if block.language == "wgsl"]
    assert sorted(texts) == sorted(path.read_text(encoding="utf-8") for path in KERNELS.glob("*.wgsl"))
    assert all(text.count("\n") <= 10 for text in texts)


@NEEDS_CHECKER
def test_the_missing_barrier_is_all_that_is_missing() -> None:
    command = (
        "sed 's/    x.id/    workgroupBarrier();\\n&/' examples/checker/missing_barrier.wgsl"
        " | rusty-bench check - --workgroups 4 --buffer x=f32[256]"
    )
    assert printed(command).code == CLEAN
