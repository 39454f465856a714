"""Reads code blocks from Markdown, and commands from blocks of shell."""

from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

SHELLS = ("sh", "console", "bash", "shell")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the file its text starts at."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Command:
    """A command as written, in one line, and the line of the file it starts at."""

    text: str
    line: int


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks, in order."""
    found = []
    for token in MarkdownIt().parse(markdown):
        if token.type == "fence" and token.map:
            language = (token.info.split() or [""])[0]
            found.append(Block(language, token.content, token.map[0] + 2))
    return found


def commands(markdown: str) -> list[Command]:
    """The commands in blocks of shell: every line, or in `console` those behind a "$ "."""
    return [command for block in blocks(markdown) if block.language in SHELLS for command in _commands(block)]


def _commands(block: Block) -> Iterator[Command]:
    text, start = "", 0
    for number, line in enumerate(block.text.splitlines(), block.line):
        if not text:
            start = number
            if block.language == "console":
                if not line.startswith("$ "):
                    continue
                line = line.removeprefix("$ ")
            if not line.strip() or line.lstrip().startswith("#"):
                continue
        if line.endswith("\\"):
            text += line[:-1].strip() + " "
            continue
        yield Command((text + line.strip()).strip(), start)
        text = ""
