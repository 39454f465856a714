"""From what the child wrote to findings: places in the WGSL text, names, and sentences."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rusty_py.checker.late import Late
from rusty_py.checker.places import mention_of, place_of, stores_to
from rusty_py.checker.report import Finding, SourceSpan, Thread
from rusty_py.checker.translate import Translation

Raw = Mapping[str, Any]
LATE = "late evaluation"


def findings_of(lines: Sequence[Raw], translation: Translation) -> tuple[Finding, ...]:
    """The findings of the translation, and behind the lines of the child's output.

    Late evaluations come first: they need no run. Then what diverges: threads that miss a barrier bring races
    and more with them. What is read before it was written comes last: often a race is why.
    """
    late = [_late_evaluation(each, translation) for each in translation.late]
    found: dict[object, Finding] = {}
    for raw in lines:
        each = _finding(raw, translation)
        # One statement may be several instructions, and two of them race either way.
        found.setdefault((each.kind, each.variable, frozenset((each.place, each.other_place))), each)
    return (*late, *sorted(found.values(), key=lambda each: _order(each.kind)))


def _late_evaluation(late: Late, translation: Translation) -> Finding:
    changed = _name_of(late.changed, translation)
    name = late.name or changed or ""
    declared = mention_of(name, late.declared, translation)
    anew = f"anew, and {changed} may have changed since line {declared.line}"
    if not late.name:
        message = (
            f"naga's Metal text reads {name} only after the calls in this condition, which may change it:"
            " read it into a `var` first"
        )
    elif late.is_pointer:
        message = f"naga's Metal text computes the pointer {name} {anew}: keep its index in a `var`"
    else:
        message = f"naga's Metal text computes {name} {anew}: write `var {name}`, not `let {name}`"
    place = mention_of(name, late.use, translation)
    return Finding(LATE, message, place, name, other_place=declared if late.name else None)


def _order(kind: str) -> int:
    return 0 if kind.startswith("divergent") else 2 if kind == "uninitialised read" else 1


def _finding(raw: Raw, translation: Translation) -> Finding:
    variable = raw.get("variable") or _private_array(raw, translation) or ""
    name = _name_of(variable, translation)
    facts = _Facts(
        raw=raw,
        what=_element(raw, name),
        writes=_stores(raw, variable, translation),
        thread=_thread(raw, "thread"),
        other=_thread(raw, "other_thread"),
        place=place_of(raw["site"], translation, name, variable),
        other_place=place_of(raw.get("other_site", []), translation, name, variable),
    )
    return Finding(
        kind=str(raw["kind"]),
        message=_SENTENCES[raw["kind"]](facts),
        place=facts.place,
        variable=name,
        index=raw.get("index"),
        size=raw.get("length"),
        thread=facts.thread,
        other=facts.other,
        other_place=facts.other_place,
    )


class _Facts(NamedTuple):
    """What a sentence is made of: `what` is the element, `writes` whether its line stores to it."""

    raw: Raw
    what: str
    writes: bool
    thread: Thread | None
    other: Thread | None
    place: SourceSpan | None
    other_place: SourceSpan | None


def _element(raw: Raw, name: str | None) -> str:
    what = name or "an array"
    if "index" not in raw:
        return what
    if "within" in raw:
        return f"[{raw['index']}] of {raw['length']} within {what}"
    return f"{what}[{raw['index']}] of {raw['length']}"


def _outside(facts: _Facts) -> str:
    return f"{facts.what} is {'written' if facts.writes else 'read'} by {facts.thread}"


def _race(facts: _Facts) -> str:
    raw, thread, other = facts.raw, facts.thread, facts.other
    assert thread is not None
    assert other is not None
    deeds = ["reads", "writes"]
    first, second = deeds[raw["writes"]], deeds[raw["other_writes"]]
    where = f" {_where(facts)}" if facts.other_place else ""
    if thread.workgroup != other.workgroup:
        return f"{facts.what}: {thread} {first} it, {other} {second} it{where}, and nothing orders workgroups"
    between = "no barrier orders them"
    if raw["kind"] == "wrong barrier":
        between = "the barrier between them orders another kind of memory"
    return (
        f"{facts.what}: of workgroup {thread.workgroup} thread {thread.local} {first} it,"
        f" thread {other.local} {second} it{where}, and {between}"
    )


def _where(facts: _Facts) -> str:
    """Where the second thread was, as the first place's line sees it."""
    assert facts.other_place is not None
    line = facts.other_place.line
    return "in this line" if facts.place is not None and facts.place.line == line else f"in line {line}"


def _divergent(facts: _Facts) -> str:
    assert facts.other is not None
    elsewhere = "has ended"
    if facts.other_place is not None:
        elsewhere = f"waits {_where(facts)}"
    if facts.other_place is not None and facts.other_place == facts.place:
        elsewhere = "is there by another call, or in another turn of a loop"
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
    "endless loop": lambda facts: (
        f"more than {facts.raw['steps']} turns of loops: {facts.thread}:"
        " if it would end, give more by step_limit, --step-limit"
    ),
    "time limit": lambda facts: (
        f"not at its end after {facts.raw['seconds']} s: give more by time_limit, --time-limit"
    ),
    "wild access": _undefined("an address in no variable"),
    "integer overflow": _undefined("a signed result that does not fit its type, undefined in Metal"),
    "bad shift": lambda facts: (
        f"a shift by as many bits as the number has, or more, undefined in Metal: {facts.thread}:"
        " WGSL takes it modulo the bits, naga's Metal text does not: write `& 31u`"
    ),
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
    shared = {each.spelled for each in translation.globals if each.space != "private"}
    found = set(re.findall(r"\b(\w+)(?:\.inner)?\[", _metal_line(raw, translation))) - shared
    return found.pop() if len(found) == 1 else None


def _name_of(spelled: str, translation: Translation) -> str | None:
    """The WGSL name of the variable that Metal spells so."""
    names = {each.spelled: each.name for each in translation.globals}
    return names.get(spelled) or _unnumbered(spelled, translation.wgsl) or None


def _unnumbered(spelled: str, wgsl: str) -> str:
    """The WGSL name of a thread's own variable that naga spells so: see `_original` of translate.py."""
    for plain in (spelled, re.sub(r"_\d*$", "", spelled), spelled.removeprefix("gen_")):
        if re.search(rf"\b{plain}\b", wgsl):
            return plain
    return re.sub(r"_\d*$", "", spelled)


def _stores(raw: Raw, variable: str, translation: Translation) -> bool:
    """Whether a line writes the variable: naga makes each store a statement, and nothing else so."""
    line = _metal_line(raw, translation)
    atomic = rf"atomic_(?!load)\w+\(&{re.escape(variable)}\b"
    return bool(variable) and (stores_to(line, variable) or re.search(atomic, line) is not None)
