"""What a device compiles and binds once, and finds again by frozen keys."""

import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from rusty_py.runtime.capi import EncodedDispatch, Handle

if TYPE_CHECKING:
    import wgpu

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

_serials = itertools.count(1)

_MAX_PIPELINES = 1024
_MAX_BINDINGS = 4096
_MAX_PLANS = 4096
_MAX_STEPS = 8192


@dataclass(frozen=True)
class Pipeline:
    """A compiled kernel, checked against its device; `layout` is that of its bindings.

    `serial` is its own, for the keys of bind groups.
    """

    handle: Handle
    layout: "wgpu.GPUBindGroupLayout"
    serial: int = field(default_factory=lambda: next(_serials))


@dataclass(frozen=True)
class CacheStats:
    """Hits and misses so far, and what is kept now: pipelines, bind groups, operations' launch plans."""

    pipeline_hits: int
    pipeline_misses: int
    pipelines: int
    binding_hits: int
    binding_misses: int
    bindings: int
    plan_hits: int
    plan_misses: int
    plans: int


class Cache:
    """Pipelines by Spec, bind groups by buffers. The owner's lock guards it.

    What is full forgets its oldest entry: recorded launches keep what they use alive by themselves.
    """

    def __init__(self) -> None:
        self._pipelines: dict[Hashable, Pipeline] = {}
        self._bindings: dict[tuple[int, ...], Handle] = {}
        self._layouts: dict[Hashable, wgpu.GPUBindGroupLayout] = {}
        self.plans: dict[Hashable, Any] = {}
        """Launch plans, by what `apply` finds them; `plan_hits` counts how often it did."""
        self.steps: dict[Hashable, list[EncodedDispatch]] = {}
        """The dispatches of plans that are bound already, by plan, values and buffers."""
        self.plan_hits = self._plan_misses = 0
        self._pipeline_hits = self._pipeline_misses = 0
        self._binding_hits = self._binding_misses = 0

    def pipeline(self, key: Hashable) -> Pipeline | None:
        """The pipeline of `key`; None where there is none yet: then `add_pipeline`."""
        found = self._pipelines.get(key)
        if found is not None:
            self._pipeline_hits += 1
        return found

    def add_pipeline(self, key: Hashable, made: Pipeline) -> None:
        """Keeps a new pipeline."""
        self._pipeline_misses += 1
        _put(self._pipelines, key, made, _MAX_PIPELINES)

    def layout(
        self, key: Hashable, make: "Callable[[], wgpu.GPUBindGroupLayout]"
    ) -> "wgpu.GPUBindGroupLayout":
        """The layout of `key`; there are as many as kernels have shapes of bindings, a handful."""
        if key not in self._layouts:
            self._layouts[key] = make()
        return self._layouts[key]

    def bindings(self, key: tuple[int, ...]) -> Handle | None:
        """The bind group of `key`; None where there is none yet: then `add_bindings`."""
        found = self._bindings.get(key)
        if found is not None:
            self._binding_hits += 1
        return found

    def add_bindings(self, key: tuple[int, ...], made: Handle) -> None:
        """Keeps a new bind group."""
        self._binding_misses += 1
        _put(self._bindings, key, made, _MAX_BINDINGS)

    def add_plan(self, key: Hashable, made: object) -> None:
        """Keeps a new launch plan."""
        self._plan_misses += 1
        _put(self.plans, key, made, _MAX_PLANS)

    def forget_plans(self) -> None:
        """Gives up all launch plans: what they were derived from has changed."""
        self.plans.clear()
        self.steps.clear()

    def add_steps(self, key: Hashable, made: list[EncodedDispatch]) -> None:
        """Keeps the dispatches of a plan that were bound."""
        _put(self.steps, key, made, _MAX_STEPS)

    def forget_bindings(self) -> None:
        """Gives up all bind groups."""
        self._bindings.clear()
        self.steps.clear()

    def stats(self) -> CacheStats:
        """The counters as of now."""
        return CacheStats(
            self._pipeline_hits,
            self._pipeline_misses,
            len(self._pipelines),
            self._binding_hits,
            self._binding_misses,
            len(self._bindings),
            self.plan_hits,
            self._plan_misses,
            len(self.plans),
        )


def _put(kept: dict[_Key, _Value], key: _Key, value: _Value, limit: int) -> None:
    if len(kept) >= limit:
        del kept[next(iter(kept))]
    kept[key] = value
