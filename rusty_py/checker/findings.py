"""From what the child wrote to findings: places in the WGSL text, names, and sentences."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rusty_py.checker.report import Finding, Place, Thread
from rusty_py.checker.translate import Translation

Raw = Mapping[str, Any]


def findings_of(lines: Sequence[Raw], translation: Translation) -> tuple[Finding, ...]:
    """The findings behind the lines of the child's output.

    What diverges comes first: threads that miss a barrier bring races and more with them.
    """
    found: dict[object, Finding] = {}
    for raw in lines:
        each = _finding(raw, translation)
        # One statement may be several instructions.
        found.setdefault((each.kind, each.variable, each.place, each.other_place), each)
    return tuple(sorted(found.values(), key=lambda each: not each.kind.startswith("divergent")))


def _finding(raw: Raw, translation: Translation) -> Finding:
    spelled = {each.spelled: each.name for each in translation.globals}
    variable = raw.get("variable") or _private_array(raw, translation)
    name = spelled.get(variable, variable) if variable else None
    writes = bool(raw.get("writes", _stores(raw, variable, translation)))
    facts = _Facts(
        raw=raw,
        what=f"{name or 'an array'}[{raw['index']}] of {raw['length']}" if "index" in raw else "",
        writes=writes,
        thread=_thread(raw, "thread"),
        other=_thread(raw, "other_thread"),
        other_place=_place(
            raw.get("other_site", []), translation, name, writes=raw.get("other_writes", False)
        ),
    )
    return Finding(
        kind=str(raw["kind"]),
        message=_SENTENCES[raw["kind"]](facts),
        place=_place(raw["site"], translation, name, writes=writes),
        variable=name,
        index=raw.get("index"),
        size=raw.get("length"),
        thread=facts.thread,
        other=facts.other,
        other_place=facts.other_place,
    )


class _Facts(NamedTuple):
    """What a sentence is made of: `what` is the element."""

    raw: Raw
    what: str
    writes: bool
    thread: Thread | None
    other: Thread | None
    other_place: Place | None


def _outside(facts: _Facts) -> str:
    return f"{facts.what} is {'written' if facts.writes else 'read'} by {facts.thread}"


def _race(facts: _Facts) -> str:
    raw, thread, other = facts.raw, facts.thread, facts.other
    assert thread is not None
    assert other is not None
    deeds = ["reads", "writes"]
    first, second = deeds[raw["writes"]], deeds[raw["other_writes"]]
    where = f" in line {facts.other_place.line}" if facts.other_place else ""
    if thread.workgroup != other.workgroup:
        return f"{facts.what}: {thread} {first} it, {other} {second} it{where}, and nothing orders workgroups"
    between = "no barrier orders them"
    if raw["kind"] == "wrong barrier":
        between = "the barrier between them orders another kind of memory"
    return (
        f"{facts.what}: of workgroup {thread.workgroup} thread {thread.local} {first} it,"
        f" thread {other.local} {second} it{where}, and {between}"
    )


def _divergent(facts: _Facts) -> str:
    assert facts.other is not None
    place = facts.other_place
    elsewhere = f"waits in line {place.line}" if place else "has ended"
    return f"{facts.thread} waits here, and thread {facts.other.local} {elsewhere}"


def _undefined(what: str) -> Callable[[_Facts], str]:
    return lambda facts: f"{what}: {facts.thread}"


_SENTENCES: dict[str, Callable[[_Facts], str]] = {
    "out of bounds": _outside,
    "race": _race,
    "wrong barrier": _race,
    "uninitialised read": lambda facts: (
        f"{facts.what}: {facts.thread} reads what none of its workgroup wrote"
    ),
    "divergent barrier": _divergent,
    "divergent subgroup operation": _divergent,
    "endless loop": lambda facts: f"more than {facts.raw['steps']} turns of loops: {facts.thread}",
    "time limit": lambda facts: f"not at its end after {facts.raw['seconds']} s",
    "wild access": _undefined("an address in no variable"),
    "integer overflow": _undefined("a signed result that does not fit its type, undefined in Metal"),
    "bad shift": _undefined("a shift by as many bits as the number has, or more, undefined in Metal"),
    "bad cast": _undefined("a value that does not fit the type it is converted to, undefined in Metal"),
    "bad division": _undefined("a division by zero, or one whose result does not fit, undefined in Metal"),
    "misaligned access": _undefined("an address that is no multiple of its type's alignment"),
    "unreachable code": _undefined("a place that the compiler took to be out of reach"),
    "crash": lambda facts: f"{facts.raw['signal']}: {facts.thread or 'outside of the kernel'}",
}


def _thread(raw: Raw, key: str) -> Thread | None:
    if key not in raw:
        return None
    workgroup, local = raw[key]
    return Thread(tuple(workgroup), tuple(local))


def _metal_line(raw: Raw, translation: Translation) -> str:
    return translation.msl.split("\n")[raw["site"][0] - 1] if raw["site"] else ""


def _private_array(raw: Raw, translation: Translation) -> str | None:
    """The thread's own array that a line indexes, where that is one: it has no name at run time."""
    if "index" not in raw:
        return None
    shared = {each.spelled for each in translation.globals}
    found = set(re.findall(r"\b(\w+)(?:\.inner)?\[", _metal_line(raw, translation))) - shared
    return found.pop().rstrip("_") if len(found) == 1 else None


def _stores(raw: Raw, variable: str | None, translation: Translation) -> bool:
    """Whether a line writes the variable: naga makes each store a statement, and nothing else so."""
    if variable is None:
        return False
    name = re.escape(variable)
    store = rf" *{name}\b[^=]* = |.*atomic_(?!load)\w+\(&{name}\b"
    return re.match(store, _metal_line(raw, translation)) is not None


def _place(lines: list[int], translation: Translation, variable: str | None, *, writes: bool) -> Place | None:
    """The statement behind the first of these Metal lines that has one; narrowed to the variable."""
    behind = [translation.lines[line - 1] for line in lines if line <= len(translation.lines)]
    statement = next((each for each in behind if each is not None), None)
    if statement is None:
        return None
    text = translation.wgsl
    start, end = statement.start, statement.end
    if variable is not None:
        start, end = _named(text, start, end, variable, writes=writes)
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    end = min(end, line_end if line_end >= 0 else len(text))
    end = start + len(text[start:end].rstrip())
    return Place(text.count("\n", 0, start) + 1, start - line_start + 1, end - start)


def _named(text: str, start: int, end: int, variable: str, *, writes: bool) -> tuple[int, int]:
    """Where text[start:end] names the variable, for a read of it rather behind the `=`; else all of it."""
    name = re.compile(rf"\b{re.escape(variable)}\b")
    assignment = re.compile(r"(?<![=!<>])=(?!=)").search(text, start, end)
    if assignment and not writes and (found := name.search(text, assignment.end(), end)):
        return found.span()
    found = name.search(text, start, end)
    return found.span() if found else (start, end)
