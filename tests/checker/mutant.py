"""A broken kernel, and what the checker must say of it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from rusty_py.checker import Report
from rusty_py.checker.check import check_translation
from rusty_py.checker.overrides import bake
from rusty_py.checker.translate import translate

from .edits import Edit, edited
from .launches import Buffers, Launch


@dataclass(frozen=True)
class Mutant:
    """A clean launch with edits, and its first finding.

    `at` is what the place of the finding begins with, once in the edited text; empty where it has none.
    `variable`, `index` and `size` are as in a Finding. `metal`: edits of the Metal text, for what a
    translator could do wrong and naga does not. `buffers` and `options` replace those of the launch.
    `brings`: the kinds of finding that come of the fault beside its own.
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
    brings: tuple[str, ...] = ()

    @property
    def kinds(self) -> set[str]:
        """Of all of its findings: its own, and what comes of the fault."""
        return {self.kind, *self.brings}

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
