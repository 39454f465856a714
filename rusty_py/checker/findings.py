"""From what the child wrote to findings: places in the WGSL text, names, and sentences."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rusty_py.checker.places import place_of
from rusty_py.checker.report import Finding, Place, Thread
from rusty_py.checker.translate import Translation

Raw = Mapping[str, Any]


def findings_of(lines: Sequence[Raw], translation: Translation) -> tuple[Finding, ...]:
    """The findings behind the lines of the child's output.

    What diverges comes first: threads that miss a barrier bring races and more with them. What is read
    before it was written comes last: often a race is why.
    """
    found: dict[object, Finding] = {}
    for raw in lines:
        each = _finding(raw, translation)
        # One statement may be several instructions.
        found.setdefault((each.kind, each.variable, each.place, each.other_place), each)
    return tuple(sorted(found.values(), key=lambda each: _order(each.kind)))


def _order(kind: str) -> int:
    return 0 if kind.startswith("divergent") else 2 if kind == "uninitialised read" else 1


def _finding(raw: Raw, translation: Translation) -> Finding:
    spelled = {each.spelled: each.name for each in translation.globals}
    variable = raw.get("variable") or _private_array(raw, translation) or ""
    name = spelled.get(variable) or _unnumbered(variable, translation.wgsl) or None
    thread, other = _thread(raw, "thread"), _thread(raw, "other_thread")
    place = place_of(raw["site"], translation, name, variable)
    other_place = place_of(raw.get("other_site", []), translation, name, variable)
    sentence = _SENTENCES[raw["kind"]](raw, _element(raw, name), thread, other, place, other_place)
    return Finding(
        kind=_KINDS.get(str(raw["kind"]), str(raw["kind"])),
        message=sentence,
        place=place,
        variable=name,
        index=raw.get("index"),
        size=raw.get("length"),
        thread=thread,
        other=other,
        other_place=other_place,
    )


def _element(raw: Raw, name: str | None) -> str:
    what = name or "an array"
    if "index" not in raw:
        return what
    if "within" in raw:
        return f"[{raw['index']}] of {raw['length']} within {what}"
    return f"{what}[{raw['index']}] of {raw['length']}"


_KINDS = {"out-of-bounds read": "out of bounds", "out-of-bounds write": "out of bounds"}


def _outside(
    raw: Raw, named: str, thread: Thread, other: Thread, here: Place | None, there: Place | None
) -> str:
    return f"{named}: {thread}"


def _race(
    raw: Raw, named: str, thread: Thread, other: Thread, here: Place | None, there: Place | None
) -> str:
    deeds = ["reads", "writes"]
    first, second = deeds[raw["writes"]], deeds[raw["other_writes"]]
    where = f" in line {there.line}" if there else ""
    if thread.workgroup != other.workgroup:
        return f"{named}: {thread} {first} it, {other} {second} it{where}, and nothing orders workgroups"
    between = "no barrier orders them"
    if raw["kind"] == "wrong barrier":
        between = "the barrier between them orders another kind of memory"
    return (
        f"{named}: of workgroup {thread.workgroup} thread {thread.local} {first} it,"
        f" thread {other.local} {second} it{where}, and {between}"
    )


def _divergent(what: str) -> Callable[..., str]:
    def sentence(
        raw: Raw, named: str, thread: Thread, other: Thread, here: Place | None, there: Place | None
    ) -> str:
        elsewhere = "has ended"
        if there is not None:
            elsewhere = f"waits in line {there.line}"
        if there is not None and there == here:
            elsewhere = "is there by another call, or in another turn of a loop"
        return f"{thread} is at this {what}, and thread {other.local} {elsewhere}"

    return sentence


def _undefined(what: str) -> Callable[..., str]:
    return lambda raw, named, thread, other, here, there: f"{what}: {thread}"


_SENTENCES: dict[str, Callable[..., str]] = {
    "out of bounds": _outside,
    "out-of-bounds read": _undefined("a read beside every variable"),
    "out-of-bounds write": _undefined("a write beside every variable"),
    "race": _race,
    "wrong barrier": _race,
    "uninitialised read": lambda raw, named, thread, other, here, there: (
        f"{named}: {thread} reads what no thread of its workgroup has written"
    ),
    "divergent barrier": _divergent("barrier"),
    "divergent subgroup operation": _divergent("subgroup operation"),
    "endless loop": lambda raw, named, thread, other, here, there: (
        f"more than {raw['steps']} turns of loops: {thread}"
    ),
    "time limit": lambda raw, named, thread, other, here, there: f"not at its end after {raw['seconds']} s",
    "integer overflow": _undefined("a signed result that does not fit its type, undefined in Metal"),
    "bad shift": _undefined("a shift by as many bits as the number has, or more, undefined in Metal"),
    "bad cast": _undefined("a value that does not fit the type it is converted to, undefined in Metal"),
    "bad division": _undefined("a division by zero, or one whose result does not fit, undefined in Metal"),
    "misaligned access": _undefined("an address that is no multiple of its type's alignment"),
    "unreachable code": _undefined("a place that the compiler took to be out of reach"),
    "crash": lambda raw, named, thread, other, here, there: (
        f"{raw['signal']}: {thread or 'outside of the kernel'}"
    ),
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
    shared = {each.spelled for each in translation.globals if each.space != "private"}
    found = set(re.findall(r"\b(\w+)(?:\.inner)?\[", line)) - shared
    return found.pop() if len(found) == 1 else None


def _unnumbered(spelled: str, wgsl: str) -> str:
    """The WGSL name of what naga spells so: it appends `_`, and a number to a name that occurs twice."""
    return spelled if re.search(rf"\b{spelled}\b", wgsl) else re.sub(r"_\d*$", "", spelled)
