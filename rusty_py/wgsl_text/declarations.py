"""The declarations of a WGSL module: variables, overrides, constants, types and functions.

For texts that a compiler has accepted. What is not understood is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rusty_py.wgsl_text.tokens import CLOSE, OPEN, Token, tokens

Words = tuple[str, ...]


@dataclass(frozen=True)
class ModuleVariable:
    """A `var` of the module. `space` is empty for textures and samplers, `access` read where none is given.

    `group` and `binding` are the words of these attributes; empty if it has none.
    """

    name: str
    space: str
    access: str
    kind: Words
    group: Words
    binding: Words


@dataclass(frozen=True)
class OverrideDeclaration:
    """An override. `kind` and `default` are empty if it has none. `id` is the words of its @id."""

    name: str
    id: Words
    kind: Words
    default: Words


@dataclass(frozen=True)
class Member:
    """A member of a structure, with the words of its @size and @align."""

    kind: Words
    size: Words
    align: Words


@dataclass(frozen=True)
class Function:
    """A function: the words of its parameters and body, and of its @workgroup_size if it is an entry."""

    name: str
    words: frozenset[str]
    is_entry: bool
    workgroup_size: Words


@dataclass
class Declarations:
    """The declarations of a module, by name."""

    variables: dict[str, ModuleVariable] = field(default_factory=dict)
    overrides: dict[str, OverrideDeclaration] = field(default_factory=dict)
    constants: dict[str, Words] = field(default_factory=dict)
    aliases: dict[str, Words] = field(default_factory=dict)
    structures: dict[str, tuple[Member, ...]] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)

    @property
    def entries(self) -> list[str]:
        """The compute entry points."""
        return [name for name, each in self.functions.items() if each.is_entry]

    def used_by(self, entry: str) -> list[ModuleVariable]:
        """The variables that the entry point, or a function that it may call, names."""
        names: set[str] = set()
        left = [entry]
        while left:
            words = self.functions[left.pop()].words
            left += (words - names) & self.functions.keys()
            names |= words
        return [each for name, each in self.variables.items() if name in names]


def declarations(wgsl: str) -> Declarations:
    """The declarations of a text."""
    found = Declarations()
    for words in _split(tokens(wgsl)):
        attributes, rest = _attributes([word.text for word in words])
        keyword = rest[0] if rest else ""
        if keyword == "var":
            _add_variable(found, attributes, rest)
        elif keyword in ("override", "const") and len(rest) > 2:
            name, kind, value = _named(rest)
            if keyword == "override":
                identifier = attributes.get("id", ())
                found.overrides[name] = OverrideDeclaration(name, identifier, kind, value)
            else:
                found.constants[name] = value
        elif keyword == "alias" and rest[2:3] == ["="]:
            found.aliases[rest[1]] = tuple(rest[3:-1])
        elif keyword == "struct" and len(rest) > 3:
            found.structures[rest[1]] = tuple(_members(rest[3:-1]))
        elif keyword == "fn" and len(rest) > 2:
            size, is_entry = attributes.get("workgroup_size", ()), "compute" in attributes
            found.functions[rest[1]] = Function(rest[1], frozenset(rest[2:]), is_entry, size)
    return found


def parts_of(words: Sequence[str], *, separator: str = ",") -> list[Words]:
    """The words between separators that are in no brackets; of types, `<` and `>` are brackets as well."""
    parts: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word in OPEN or word == "<") - (word in CLOSE or word == ">")
        if word == separator and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    return [tuple(part) for part in parts if part]


def _split(found: Sequence[Token]) -> Iterator[list[Token]]:
    """The declarations of the module: each ends with `;`, or with the brace of its block."""
    depth = 0
    words: list[Token] = []
    for token in found:
        words.append(token)
        depth += (token.text in OPEN) - (token.text in CLOSE)
        if depth == 0 and token.text in ";}":
            yield words
            words = []


def _attributes(words: list[str]) -> tuple[Mapping[str, Words], list[str]]:
    """The attributes before a declaration with their arguments, and the words behind them."""
    found: dict[str, Words] = {}
    at = 0
    while words[at : at + 1] == ["@"] and at + 1 < len(words):
        name, end = words[at + 1], at + 2
        if words[end : end + 1] == ["("]:
            depth = 0
            while end < len(words):
                depth += (words[end] in OPEN) - (words[end] in CLOSE)
                end += 1
                if depth == 0:
                    break
            found[name] = tuple(words[at + 3 : end - 1])
        else:
            found[name] = ()
        at = end
    return found, words[at:]


def _add_variable(found: Declarations, attributes: Mapping[str, Words], words: list[str]) -> None:
    space, access, at = "", "", 1
    if words[1:2] == ["<"] and ">" in words:
        end = words.index(">")
        space, access = (*words[2:end:2], "", "")[:2]
        at = end + 1
    if len(words) > at + 1:
        name, kind, _ = _named(["var", *words[at:]])
        found.variables[name] = ModuleVariable(
            name, space, access or "read", kind, attributes.get("group", ()), attributes.get("binding", ())
        )


def _named(words: list[str]) -> tuple[str, Words, Words]:
    """Name, type and value of `var name: type = value;`."""
    end = words.index("=") if "=" in words else len(words) - 1
    kind = words[3:end] if words[2:3] == [":"] else []
    return words[1], tuple(kind), tuple(words[end + 1 : -1])


def _members(words: Sequence[str]) -> Iterator[Member]:
    for part in parts_of(words):
        attributes, rest = _attributes(list(part))
        yield Member(tuple(rest[2:]), attributes.get("size", ()), attributes.get("align", ()))
