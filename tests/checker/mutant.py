"""A broken kernel, and what the checker must say of it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from rusty_py.checker import Report
from rusty_py.checker.check import check_translation
from rusty_py.checker.translate import translate
from rusty_py.checker.wgsl import bake

from .edits import Edit, edited
from .launches import Buffers, Launch

CONSEQUENCES = {
    "an axis counted down past zero": ["endless loop"],
    "an array of fixed length in storage": ["race"],
    "the barrier before a tile is read, missing": ["uninitialised read"],
    "all rows of a tile in one slot": ["uninitialised read"],
    "a barrier missing before a neighbour is read": ["uninitialised read"],
    "a missing guard of columns": ["out of bounds"],
    "a barrier for some threads": ["race", "uninitialised read"],
    "a barrier after some threads returned": ["uninitialised read"],
    "a barrier in one case of a switch": ["race"],
    "a loop that waits for another thread": ["uninitialised read"],
}
"""The kinds that the fault of a mutant brings beside its own, by the mutant's name."""


@dataclass(frozen=True)
class Mutant:
    """A clean launch with edits, and its first finding.

    `at` is what the place of the finding begins with, once in the edited text; empty where it has none.
    `variable`, `index` and `size` are as in a Finding. `metal`: edits of the Metal text, for what a
    translator could do wrong and naga does not. `buffers` and `options` replace those of the launch.
    """

    name: str
    launch: Launch
    edits: tuple[Edit, ...]
    kind: str
    at: str
    variable: str | None = None
    index: int | None = None
    size: int | None = None
    metal: tuple[Edit, ...] = ()
    buffers: Buffers = field(default_factory=dict)
    options: Mapping[str, float] = field(default_factory=dict)

    @property
    def kinds(self) -> set[str]:
        """Of all of its findings: its own, and what comes of the fault."""
        return {self.kind, *CONSEQUENCES.get(self.name, ())}

    @property
    def wgsl(self) -> str:
        return edited(self.launch.wgsl, *self.edits)

    def checked(self) -> Report:
        launch = self.launch.with_buffers(self.buffers)
        return self._translated(launch) if self.metal else launch.checked(self.wgsl, **self.options)

    def _translated(self, launch: Launch) -> Report:
        translation = translate(bake(self.wgsl, launch.constants))
        x, y, z = (*launch.workgroups, 1, 1)[:3]
        return check_translation(
            dataclasses.replace(translation, msl=edited(translation.msl, *self.metal)),
            translation.entries[0],
            workgroups=(x, y, z),
            buffers=launch.buffers,
            subgroup_sizes=(32,),
            seeds=1,
            step_limit=1000,
            time_limit=10.0,
            name=self.name,
        )
