"""The documentation does what it says: its Python runs, its commands succeed."""

import os
import re
import shlex
import shutil
from itertools import takewhile
from pathlib import Path

import pytest

from .markdown import Block, Command, blocks, commands
from .program import ROOT, SCRIPT, Done, environment, python, run

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]

# Lines that set up a machine or a checkout. The installation runs some of them; no test should.
NOT_RUN = (
    "rusty-bench check ",  # Run by test_check_docs.py: they end with findings.
    "rusty-bench run ",  # Run by test_run.py: they need files.
    "rusty-bench calibrate",  # Run by tests/tune/test_calibrate.py: it takes long, and once is enough.
    "cat ",  # As for check.
    ". activate",
    "apt-get ",
    "brew ",
    "cd ",
    "git ",
    "make",
    "pip ",
    "python -m pip ",
    "python -m venv ",
    "python3 -m pip ",
    "python3 -m venv ",
    "source activate",
    "sudo apt-get ",
)


def _plain(command: Command) -> str:
    """The command's text as after `source .venv/bin/activate`."""
    return command.text.replace(".venv/bin/", "")


def _is_run(command: Command) -> bool:
    return bool(re.match(r"(\w+=\S+ )*rusty-bench\b(?! (?:check|run|calibrate))", _plain(command)))


def _is_long(command: Command) -> bool:
    """Whether it runs the default ladder of sizes, which takes a minute."""
    short = ("--size", "--max-time", "-h", "--help", "--version", "info", "doctor", "compare", "report")
    return not any(f" {word}" in command.text for word in short)


def _found() -> list[object]:
    return [
        pytest.param(
            _plain(command),
            id=f"{page.relative_to(ROOT)}:{command.line}",
            marks=[pytest.mark.slow] if _is_long(command) else [],
        )
        for page in PAGES
        for command in commands(page.read_text(encoding="utf-8"))
        if _is_run(command)
    ]


def _run_blocks(page: str, found: list[Block], folder: Path) -> Done:
    """Runs blocks one after the other in one namespace; tracebacks name the page and its lines."""
    return python(
        f"""
        namespace = {{"__name__": "__main__"}}
        for text, line in {[(block.text, block.line) for block in found]!r}:
            exec(compile("\\n" * (line - 1) + text, {page!r}, "exec"), namespace)
        """,
        cwd=folder,
        env={"MPLBACKEND": "Agg"},
        patience_s=300,
    )


def _run_command(text: str, folder: Path) -> Done:
    """Runs a command line, in a shell that finds our program first where it needs one."""
    if not re.search(r"[|&;<>$`*?]", text.partition(" #")[0]):
        words = shlex.split(text, comments=True)
        changes = dict(word.split("=", 1) for word in takewhile(re.compile(r"\w+=").match, words))
        if words[len(changes)] == "rusty-bench":
            return run([SCRIPT, *words[len(changes) + 1 :]], cwd=folder, env=changes, patience_s=300)
    path = os.pathsep.join([str(SCRIPT.parent), environment()["PATH"]])
    return run(["sh", "-c", text], cwd=folder, env={"PATH": path}, patience_s=300)


def _python_of(page: Path) -> list[Block]:
    return [block for block in blocks(page.read_text(encoding="utf-8")) if block.language == "python"]


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=page.name) for page in PAGES if page.name == "README.md" or _python_of(page)],
)
def test_python_in_the_documentation_runs(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if page.name == "checking.md":
        request.getfixturevalue("checker")
    found = _python_of(page)
    assert found, f"{page.name} shows no Python"
    done = _run_blocks(str(page.relative_to(ROOT)), found, tmp_path)
    assert (done.code, done.err) == (0, "")


@pytest.mark.alone
@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("command", _found())
def test_commands_in_the_documentation_succeed(command: str, tmp_path: Path) -> None:
    if command.startswith(("rusty-bench compare ", "rusty-bench report ")):
        for name in ("before.json", "after.json"):
            shutil.copy(ROOT / "benchmarks" / "results" / "nvidia-h200" / "matmul.json", tmp_path / name)
    done = _run_command(_shortened(command), tmp_path)
    assert (done.code, done.err) == (0, "")


def _shortened(command: str) -> str:
    """The same within a second, or with two samples of each kernel where it says nothing else."""
    command = re.sub(r"--max-time \d+", "--max-time 1", command)
    if "--max-time" in command:
        return command
    measuring = "matmul|conv2d|activation|elementwise|fused|norm|reduce|scan|transfer"
    return re.sub(rf"(rusty-bench(?: (?:{measuring}))?)(?= -)(?! --version)", r"\1 --runs 2", command)


def test_the_readme_shows_the_program() -> None:
    found = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    assert any(_is_run(command) for command in found)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_every_command_in_the_documentation_is_run_or_known_not_to_be(page: Path) -> None:
    unknown = [
        f"{page.name}:{command.line}: {command.text}"
        for command in commands(page.read_text(encoding="utf-8"))
        if not _is_run(command) and not _plain(command).startswith(NOT_RUN)
    ]
    assert unknown == []


def test_the_readme_gives_the_make_lines_that_ci_runs() -> None:
    readme = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert _make_lines([command.text for command in readme]) == _make_lines(ci)
    assert _make_lines(ci) >= {"make bench", "make test"}


def _make_lines(lines: list[str]) -> set[str]:
    """The lines that call make, without comments."""
    return {line.partition("#")[0].strip() for line in lines if re.match(r"\s*make\b", line)}


SAMPLE = """\
# A page

```python
x = 1
```

Text with `rusty-bench nosuch` in a line is not a block, nor is

```text
rusty-bench nosuch
```

- in a list:

  ```python
  y = x + 1
  assert y == 2
  ```

```sh
make test                      # a comment
# rusty-bench nosuch

rusty-bench matmul --size 32 \\
    --runs 3
RUSTY_PY_CHECKED=1 .venv/bin/rusty-bench info > info.txt
```

```console
$ rusty-bench --version
0.1.0
$ frobnicate
```
"""


def test_blocks_and_commands_are_found_in_a_sample() -> None:
    assert [(block.language, block.line) for block in blocks(SAMPLE)] == [
        ("python", 4),
        ("text", 10),
        ("python", 16),
        ("sh", 21),
        ("console", 30),
    ]
    assert blocks(SAMPLE)[2].text == "y = x + 1\nassert y == 2\n"
    assert commands(SAMPLE) == [
        Command("make test                      # a comment", 21),
        Command("rusty-bench matmul --size 32 --runs 3", 24),
        Command("RUSTY_PY_CHECKED=1 .venv/bin/rusty-bench info > info.txt", 26),
        Command("rusty-bench --version", 30),
        Command("frobnicate", 32),
    ]
    assert [_is_run(command) for command in commands(SAMPLE)] == [False, True, True, True, False]
    assert _make_lines([command.text for command in commands(SAMPLE)]) == {"make test"}


def test_commands_are_shortened_but_for_what_they_say() -> None:
    cases = {
        "rusty-bench --size 8 --max-time 10  # a square": "rusty-bench --size 8 --max-time 1  # a square",
        "rusty-bench --size 8 --tile auto": "rusty-bench --runs 2 --size 8 --tile auto",
        "rusty-bench matmul --size 64 --runs 5": "rusty-bench matmul --runs 2 --size 64 --runs 5",
        "T=t rusty-bench tune --size 64 --max-time 10": "T=t rusty-bench tune --size 64 --max-time 1",
        "rusty-bench doctor": "rusty-bench doctor",
        "rusty-bench --version": "rusty-bench --version",
    }
    for command, shortened in cases.items():
        assert _shortened(command) == shortened


def test_only_the_default_ladder_is_a_long_command() -> None:
    lines = ["rusty-bench", "rusty-bench matmul --tile 8", "rusty-bench info", "rusty-bench matmul --size 8"]
    assert [_is_long(Command(line, 1)) for line in lines] == [True, True, False, False]


def test_blocks_of_a_page_share_a_namespace(tmp_path: Path) -> None:
    found = [block for block in blocks(SAMPLE) if block.language == "python"]
    _run_blocks("sample.md", found, tmp_path).succeeds()


def test_a_block_that_fails_is_found_by_its_line(tmp_path: Path) -> None:
    found = [block for block in blocks(SAMPLE.replace("y == 2", "y == 3")) if block.language == "python"]
    done = _run_blocks("sample.md", found, tmp_path)
    assert done.code == 1
    assert 'File "sample.md", line 17' in done.err


def test_a_command_that_fails_is_seen(tmp_path: Path) -> None:
    assert _run_command("rusty-bench --version > version.txt", tmp_path) == Done(0, "", "")
    assert (tmp_path / "version.txt").read_text().strip()
    assert _run_command("rusty-bench nosuch", tmp_path).code == 2
