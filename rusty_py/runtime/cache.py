"""The caches of a device: pipelines, bind groups and launch plans, by hashable keys."""

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
_MAX_DISPATCHES = 8192


@dataclass(frozen=True)
class Pipeline:
    """A compiled kernel and its bind group layout. `serial` identifies it in bind group keys."""

    handle: Handle
    layout: "wgpu.GPUBindGroupLayout"
    serial: int = field(default_factory=lambda: next(_serials))


@dataclass(frozen=True)
class CacheStats:
    """Hits, misses and current sizes of the caches: pipelines, bind groups, launch plans."""

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
    """Pipelines by Spec, bind groups by buffers. Protected by the owner's lock.

    A full cache evicts its oldest entry; recorded launches hold their own references.
    """

    def __init__(self) -> None:
        self._pipelines: dict[Hashable, Pipeline] = {}
        self._bindings: dict[tuple[int, ...], Handle] = {}
        self._layouts: dict[Hashable, wgpu.GPUBindGroupLayout] = {}
        self.plans: dict[Hashable, Any] = {}
        """Launch plans, by the keys of `apply`, which also counts `plan_hits`."""
        self.dispatches: dict[Hashable, list[EncodedDispatch]] = {}
        """Encoded dispatches of launch plans, by plan, values and buffers."""
        self.plan_hits = self._plan_misses = 0
        self._pipeline_hits = self._pipeline_misses = 0
        self._binding_hits = self._binding_misses = 0

    def pipeline(self, key: Hashable) -> Pipeline | None:
        """The pipeline of `key`, or None."""
        found = self._pipelines.get(key)
        if found is not None:
            self._pipeline_hits += 1
        return found

    def add_pipeline(self, key: Hashable, made: Pipeline) -> None:
        """Adds a pipeline."""
        self._pipeline_misses += 1
        _put(self._pipelines, key, made, _MAX_PIPELINES)

    def layout(
        self, key: Hashable, make: "Callable[[], wgpu.GPUBindGroupLayout]"
    ) -> "wgpu.GPUBindGroupLayout":
        """The bind group layout of `key`, created on first use. There are only a few."""
        if key not in self._layouts:
            self._layouts[key] = make()
        return self._layouts[key]

    def bindings(self, key: tuple[int, ...]) -> Handle | None:
        """The bind group of `key`, or None."""
        found = self._bindings.get(key)
        if found is not None:
            self._binding_hits += 1
        return found

    def add_bindings(self, key: tuple[int, ...], made: Handle) -> None:
        """Adds a bind group."""
        self._binding_misses += 1
        _put(self._bindings, key, made, _MAX_BINDINGS)

    def add_plan(self, key: Hashable, made: object) -> None:
        """Adds a launch plan."""
        self._plan_misses += 1
        _put(self.plans, key, made, _MAX_PLANS)

    def forget_plans(self) -> None:
        """Drops all launch plans, when what they were derived from has changed."""
        self.plans.clear()
        self.dispatches.clear()

    def add_dispatches(self, key: Hashable, made: list[EncodedDispatch]) -> None:
        """Adds the encoded dispatches of a launch plan."""
        _put(self.dispatches, key, made, _MAX_DISPATCHES)

    def forget_bindings(self) -> None:
        """Drops all bind groups."""
        self._bindings.clear()
        self.dispatches.clear()

    def stats(self) -> CacheStats:
        """The current counters."""
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
