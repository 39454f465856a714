"""A loop over cases inside one test, in which each case runs and each failure is reported by name."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

_OUTCOMES = (Exception, pytest.fail.Exception, pytest.skip.Exception)
_TESTS = Path(__file__).parent


@contextmanager
def each_reported() -> Iterator[Callable[[object], AbstractContextManager[None]]]:
    """Gives a context manager for one case, by name; at the end fails with the failures of all cases.

    with each_reported() as case:
        for spec in specs:
            with case(spec):
                assert ...

    Fails, too, where there is no case, and where a case skips: a loop cannot say what it left out.
    """
    count = 0
    failures: list[tuple[str, BaseException]] = []

    @contextmanager
    def case(name: object) -> Iterator[None]:
        nonlocal count
        count += 1
        try:
            yield
        except _OUTCOMES as error:
            failures.append((str(name), error))

    yield case
    if count == 0:
        pytest.fail("no case ran", pytrace=False)
    if failures:
        names = "; ".join(name for name, _ in failures)
        first = "".join(traceback.format_exception(failures[0][1]))
        parts = [f"{len(failures)} of {count} failed: {names}", *map(_told, failures), f"The first:\n{first}"]
        pytest.fail("\n\n".join(parts), pytrace=False)


def _told(failure: tuple[str, BaseException]) -> str:
    """The name of a case, the line of the test that failed, and the error."""
    name, error = failure
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _TESTS in Path(frame.filename).parents and frame.filename != __file__]
    place = f"{Path(own[-1].filename).relative_to(_TESTS.parent)}:{own[-1].lineno}: " if own else ""
    return f"{name}: {place}{''.join(traceback.format_exception_only(error)).strip()}"
