"""Errors of wgpu's compiler as `name:line:column: message`, with the source line and a caret."""

import re

_PLACE = re.compile(
    r"error: (?P<message>[^\n]*)\n\s*┌─ [^\n]*?:(?P<line>\d+):(?P<column>\d+)\n(?P<snippet>.*)", re.DOTALL
)
_SNIPPET = re.compile(r"\s*(?P<number>\d*)\s*│ ?(?P<text>.*)")
_NOTE = re.compile(r"\s*= (?P<note>.*)")
_WIDTH = 160


def refusal(message: str, *, name: str) -> str:
    """What wgpu says about the text called `name`, in the form of compilers."""
    found = _PLACE.search(message)
    if not found:
        causes = [line.strip() for line in message.splitlines() if line.strip()]
        told = [line for line in causes if not line.startswith(("Validation Error", "Caused by", "In wgpu"))]
        return f"{name}: the compiler refuses it: {' '.join(told or causes)}"
    lines = [f"{name}:{found['line']}:{found['column']}: {found['message']}"]
    start = max(0, int(found["column"]) - _WIDTH // 2)
    for line in found["snippet"].splitlines():
        if not line.strip():
            break
        if snippet := _SNIPPET.fullmatch(line):
            text = snippet["text"][start : start + _WIDTH].rstrip()
            if text:
                lines.append(f"{snippet['number']:>7} | {text}")
        elif note := _NOTE.fullmatch(line):
            lines.append(f"{'':>7} = {note['note']}")
    return "\n".join(lines)
