"""How a graph orders launches and shares memory, without a device."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py.runtime.graph import Node, Operand, Part, _levels, _parts, assign
from rusty_py.runtime.pool import Allocation

SPANS = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda span: (span[0], span[0] + span[1]))
NEEDS = st.dictionaries(st.integers(0, 40), st.tuples(st.integers(1, 9).map(lambda n: 256 * n), SPANS))
# Which of six memories each launch reads and writes.
PROGRAMS = st.lists(
    st.tuples(st.sets(st.integers(0, 5), max_size=3), st.sets(st.integers(0, 5), min_size=1, max_size=2)),
    max_size=25,
)


def nodes_of(program: list[tuple[set[int], set[int]]]) -> list[Node]:
    memories = [Allocation(None, 256, None) for _ in range(6)]

    def operands(numbers: set[int]) -> tuple[Operand, ...]:
        return tuple(Operand(memories[number], 256) for number in sorted(numbers))

    return [
        Node(operands(reads - writes), operands(writes), lambda operands: None, 0.0)
        for reads, writes in program
    ]


def clash(one: tuple[set[int], set[int]], other: tuple[set[int], set[int]]) -> bool:
    """Whether the order of two launches matters."""
    (reads, writes), (others_reads, others_writes) = one, other
    return bool(writes & (others_reads | others_writes) or reads & others_writes)


@given(NEEDS)
def test_what_is_in_use_at_the_same_time_has_memory_of_its_own(
    needs: dict[int, tuple[int, tuple[int, int]]],
) -> None:
    sizes = {key: size for key, (size, _) in needs.items()}
    spans = {key: span for key, (_, span) in needs.items()}
    assigned = assign(sizes, spans)
    assert set(assigned.of) == set(needs)
    for one in needs:
        for other in needs:
            if one < other and assigned.of[one] == assigned.of[other]:
                assert spans[one][1] < spans[other][0] or spans[other][1] < spans[one][0]


@given(NEEDS)
def test_memory_is_large_enough_for_each_that_has_it_and_never_more_than_without_sharing(
    needs: dict[int, tuple[int, tuple[int, int]]],
) -> None:
    sizes = {key: size for key, (size, _) in needs.items()}
    assigned = assign(sizes, {key: span for key, (_, span) in needs.items()})
    for place, size in enumerate(assigned.sizes):
        assert size == max(sizes[key] for key, where in assigned.of.items() if where == place)
    assert sum(assigned.sizes) <= sum(sizes.values())


def test_a_chain_takes_turns_with_two_memories() -> None:
    spans = {i: (i, i + 1) for i in range(10)}
    assert assign(dict.fromkeys(spans, 1024), spans).sizes == (1024, 1024)


@given(PROGRAMS)
def test_launches_whose_order_matters_keep_it(program: list[tuple[set[int], set[int]]]) -> None:
    levels = _levels(nodes_of(program))
    level_of = {number: level for level, numbers in enumerate(levels) for number in numbers}
    for later in range(len(program)):
        for earlier in range(later):
            if clash(program[earlier], program[later]):
                assert level_of[earlier] < level_of[later]


@given(PROGRAMS)
def test_every_launch_is_on_one_level_and_none_waits_longer_than_it_must(
    program: list[tuple[set[int], set[int]]],
) -> None:
    levels = _levels(nodes_of(program))
    assert sorted(number for numbers in levels for number in numbers) == list(range(len(program)))
    for level, numbers in enumerate(levels[1:]):
        for number in numbers:
            assert any(clash(program[before], program[number]) for before in levels[level])


@given(st.lists(st.floats(0, 0.5), max_size=30))
def test_steps_are_parted_in_order_and_no_part_is_too_long(seconds: list[float]) -> None:
    parts = list(_parts([Part([step], each, 8) for step, each in enumerate(seconds)]))
    assert [step for part in parts for step in part.dispatches] == list(range(len(seconds)))
    for part in parts:
        assert part.dispatches
        assert part.seconds == pytest.approx(sum(seconds[step] for step in part.dispatches))
        assert part.nbytes == 8 * len(part.dispatches)
        assert len(part.dispatches) == 1 or part.seconds <= 0.2 + 1e-9
