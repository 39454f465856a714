"""Named changes of a kernel's text."""

Edit = tuple[str, str]


def edited(text: str, *edits: Edit) -> str:
    """`text` with each old text, which is there once, replaced by the new one."""
    for old, new in edits:
        found = text.count(old)
        assert found == 1, f"an edit applies to one place, this one to {found}: {old!r}"
        text = text.replace(old, new)
    return text
