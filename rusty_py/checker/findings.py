"""From what the child wrote to findings: places in the WGSL text, names, and sentences."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
    thread, other = _thread(raw, "thread"), _thread(raw, "other_thread")
    index = raw.get("index")
    other_place = _place(raw.get("other_site", []), translation, name)
    named = f"{name or 'an array'}" + (f"[{index}]" if index is not None else "")
    sentence = _SENTENCES[raw["kind"]](raw, named, thread, other, other_place)
    return Finding(
        kind=_KINDS.get(str(raw["kind"]), str(raw["kind"])),
        message=sentence,
        place=_place(raw["site"], translation, name),
        variable=name,
        index=index,
        size=raw.get("length"),
        thread=thread,
        other=other,
        other_place=other_place,
    )


_KINDS = {"out-of-bounds read": "out of bounds", "out-of-bounds write": "out of bounds"}


def _outside(raw: Raw, named: str, thread: Thread, other: Thread, place: Place | None) -> str:
    return f"{named} of {raw['length']}: {thread}"


def _race(raw: Raw, named: str, thread: Thread, other: Thread, place: Place | None) -> str:
    deeds = ["reads", "writes"]
    first, second = deeds[raw["writes"]], deeds[raw["other_writes"]]
    where = f" in line {place.line}" if place else ""
    if thread.workgroup != other.workgroup:
        return (
            f"{named} of {raw['length']}: {thread} {first} it, {other} {second} it{where},"
            " and nothing orders workgroups"
        )
    between = "no barrier orders them"
    if raw["kind"] == "wrong barrier":
        between = "the barrier between them orders another kind of memory"
    return (
        f"{named} of {raw['length']}: of workgroup {thread.workgroup} thread {thread.local} {first} it,"
        f" thread {other.local} {second} it{where}, and {between}"
    )


def _divergent(what: str) -> Callable[..., str]:
    def sentence(raw: Raw, named: str, thread: Thread, other: Thread, place: Place | None) -> str:
        elsewhere = f"waits in line {place.line}" if place else "has ended"
        return f"{thread} is at this {what}, and thread {other.local} {elsewhere}"

    return sentence


def _undefined(what: str) -> Callable[..., str]:
    return lambda raw, named, thread, other, place: f"{what}: {thread}"


_SENTENCES: dict[str, Callable[..., str]] = {
    "out of bounds": _outside,
    "out-of-bounds read": _undefined("a read beside every variable"),
    "out-of-bounds write": _undefined("a write beside every variable"),
    "race": _race,
    "wrong barrier": _race,
    "uninitialised read": lambda raw, named, thread, other, place: (
        f"{named} of {raw['length']}: {thread} reads what no thread of its workgroup has written"
    ),
    "divergent barrier": _divergent("barrier"),
    "divergent subgroup operation": _divergent("subgroup operation"),
    "endless loop": lambda raw, named, thread, other, place: (
        f"more than {raw['steps']} turns of loops: {thread}"
    ),
    "time limit": lambda raw, named, thread, other, place: f"not at its end after {raw['seconds']} s",
    "integer overflow": _undefined("a signed result that does not fit its type, undefined in Metal"),
    "bad shift": _undefined("a shift by as many bits as the number has, or more, undefined in Metal"),
    "bad cast": _undefined("a value that does not fit the type it is converted to, undefined in Metal"),
    "bad division": _undefined("a division by zero, or one whose result does not fit, undefined in Metal"),
    "misaligned access": _undefined("an address that is no multiple of its type's alignment"),
    "unreachable code": _undefined("a place that the compiler took to be out of reach"),
    "crash": lambda raw, named, thread, other, place: f"{raw['signal']}: {thread or 'outside of the kernel'}",
}


def _thread(raw: Raw, key: str) -> Thread | None:
    if key not in raw:
        return None
    workgroup, local = raw[key]
    return Thread(tuple(workgroup), tuple(local))


def _private_array(raw: Raw, translation: Translation) -> str | None:
    """The thread's own array that a line indexes, where that is one: it has no name at run time."""
    if "index" not in raw or not raw["site"]:
        return None
    line = translation.msl.split("\n")[raw["site"][0] - 1]
    shared = {each.spelled for each in translation.globals}
    found = set(re.findall(r"\b(\w+)(?:\.inner)?\[", line)) - shared
    return found.pop().rstrip("_") if len(found) == 1 else None


def _place(lines: list[int], translation: Translation, variable: str | None) -> Place | None:
    """The statement behind the first of these Metal lines that has one; narrowed to the variable."""
    behind = [translation.lines[line - 1] for line in lines if line <= len(translation.lines)]
    statement = next((each for each in behind if each is not None), None)
    if statement is None:
        return None
    text = translation.wgsl
    start, end = statement.start, statement.end
    named = variable and re.compile(rf"\b{re.escape(variable)}\b").search(text, start, end)
    if named:
        start, end = named.span()
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    end = min(end, line_end if line_end >= 0 else len(text))
    return Place(text.count("\n", 0, start) + 1, start - line_start + 1, end - start)
