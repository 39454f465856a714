"""Who may import whom: docs/architecture.md draws the layers, and this holds the source to them."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import rusty_py

from ..each import each_reported

PACKAGE = Path(rusty_py.__file__).parent

# Imports go down, from larger numbers to smaller ones. The fraction orders the modules of a layer.
LAYERS = {
    "errors": 0.0,
    "printing": 0.0,
    "activations": 0.1,
    "dtypes": 0.1,
    "shaders": 0.1,
    "shapes": 0.1,
    "user_cache": 0.1,
    "cache_file": 0.1,
    "version": 0.0,
    "wgsl_text": 0.1,
    "views": 0.1,
    "layout": 0.2,
    "oracle": 0.2,
    "samples": 0.2,
    "expression": 0.3,
    "runtime.throughput": 1.0,
    "runtime.native": 1.0,
    "runtime.capi": 1.05,
    "runtime.adapter": 1.1,
    "runtime.pool": 1.1,
    "runtime.buffer": 1.2,
    "runtime.cache": 1.2,
    "runtime.uniforms": 1.2,
    "runtime.queue": 1.3,
    "runtime.transfer": 1.4,
    "runtime.device": 1.5,
    "runtime.launch": 2.0,
    "runtime.graph": 2.1,
    "runtime.launch_plans": 2.1,
    "runtime.probe": 2.1,
    "runtime.timing": 2.1,
    "runtime": 2.2,
    "profile": 2.5,
    "operation": 3,
    "arrays": 4,
    "gemm": 4,
    "checker": 5,
    "ops": 5,
    "autograd": 5.5,
    "gradient_check": 5.6,
    "user_kernel": 5.5,
    "fusion": 5.7,
    "fused": 5.8,
    "": 6,  # The package itself: its version and its public names.
    "measure": 6,
    "tune": 7,
    "calibration": 7.5,
    "bench": 8,
    "__main__": 9,
}
# What may reach up, inside a function: a method that is sugar for what lies above, and a type's name.
UPWARD = {
    ("", "calibration"),
    ("runtime.device", "runtime.graph"),
    ("runtime.device", "runtime.launch"),
    ("runtime.buffer", "runtime.device"),
    ("operation", "arrays"),
    ("operation", "ops.creation"),
    ("arrays", "autograd"),
    ("arrays", "fused"),
    ("arrays", "ops.creation"),
    ("arrays", "ops.indexing"),
    ("arrays", "ops.protocols"),
}
WGPU_LAYERS = {1, 2}
# What measures plain wgpu-py beside us.
COMPETITORS = {"bench.plain", "bench.overhead.start_plain"}
BENCH_ONLY = {"typer", "tabulate", "rich", "pydantic", "psutil", "threadpoolctl"}


@dataclass(frozen=True)
class Import:
    """`deferred`: inside a function, or seen by type checkers alone."""

    name: str
    line: int
    deferred: bool


@cache
def modules() -> dict[str, Path]:
    """Dotted names below rusty_py, "" for the package itself."""
    paths = {path: path.relative_to(PACKAGE).with_suffix("").parts for path in PACKAGE.rglob("*.py")}
    return {".".join(part for part in parts if part != "__init__"): path for path, parts in paths.items()}


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    return tuple(imports(modules()[module].read_text(encoding="utf-8")))


def imports(source: str) -> Iterator[Import]:
    """Every import of a file; `from a import b` counts as a.b."""
    yield from _imports(ast.parse(source), deferred=False)


def _imports(node: ast.AST, *, deferred: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, deferred) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: imports are absolute here"
            yield from (
                Import(f"{child.module}.{alias.name}", child.lineno, deferred) for alias in child.names
            )
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            typing = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from _imports(child, deferred=deferred or function or typing)


def own(name: str) -> str | None:
    """The module of ours that an import means; None for those of others."""
    if name.partition(".")[0] != "rusty_py":
        return None
    inside = name.partition(".")[2]
    return inside if inside in modules() else inside.rpartition(".")[0]


def package(module: str) -> str:
    return module.partition(".")[0]


def layer(module: str) -> float:
    return LAYERS[module if module in LAYERS else package(module)]


def is_down(module: str, target: str) -> bool:
    """Within a package of one number any import is; else one to a smaller number."""
    together = package(module) == package(target) and package(module) != "runtime"
    return together or layer(target) < layer(module)


def assert_no_import(forbidden: Callable[[str, Import], bool]) -> None:
    """Fails with every import of every module that is `forbidden` there."""
    with each_reported() as case:
        for module in sorted(modules()):
            with case(module or "rusty_py"):
                assert [
                    f"line {one.line}: {one.name}" for one in imports_of(module) if forbidden(module, one)
                ] == []


def test_every_module_has_a_layer() -> None:
    assert {module if package(module) == "runtime" else package(module) for module in modules()} == set(
        LAYERS
    )


def test_imports_go_down_and_never_between_packages_of_one_number() -> None:
    def upward(module: str, each: Import) -> bool:
        target = own(each.name)
        allowed = each.deferred and (module, target) in UPWARD
        return target is not None and not is_down(module, target) and not allowed

    assert_no_import(upward)


def test_packages_of_one_number_are_not_below_each_other() -> None:
    assert not is_down("ops.matmul", "checker.check")
    assert not is_down("checker.check", "ops.matmul")
    assert is_down("ops.matmul", "ops.rows")
    assert is_down("bench.tuning", "tune.search")
    assert not is_down("tune.search", "bench.tuning")


def test_whatever_may_reach_up_does() -> None:
    found = {
        (module, target)
        for module in modules()
        for each in imports_of(module)
        if (target := own(each.name)) is not None and not is_down(module, target)
    }
    assert found == UPWARD


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        module: {
            target
            for each in imports_of(module)
            if (target := own(each.name)) is not None and (module, target) not in UPWARD
        }
        for module in modules()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


def test_wgpu_is_imported_inside_functions_of_the_lower_layers() -> None:
    def outside(module: str, each: Import) -> bool:
        allowed = each.deferred and (int(layer(module)) in WGPU_LAYERS or module in COMPETITORS)
        return each.name.partition(".")[0] == "wgpu" and not allowed

    assert_no_import(outside)


def test_what_the_benchmark_needs_is_imported_by_the_benchmark_alone() -> None:
    def outside(module: str, each: Import) -> bool:
        return each.name.partition(".")[0] in BENCH_ONLY and package(module) != "bench"

    assert_no_import(outside)


def test_the_measuring_core_prints_nothing() -> None:
    for module, path in modules().items():
        if package(module) == "measure":
            words = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
            assert not words & {"print", "sys", "logging", "warnings"}, module


def test_a_family_of_kernels_is_known_by_its_own_files_and_its_row_alone() -> None:
    kernels = {
        *("blocked.Blocked", "register_tiled.RegisterTiled", "register_tiled_cpu.RegisterTiledCpu"),
        *("gemv.GemvN", "gemv.GemvT"),
    }
    own_files = {"gemm.blocked_family"}

    def elsewhere(module: str, each: Import) -> bool:
        return each.name.removeprefix("rusty_py.gemm.") in kernels and module not in own_files

    assert_no_import(elsewhere)


def test_imports_are_seen_wherever_they_hide() -> None:
    source = """
import a.b
from c import d, e
if TYPE_CHECKING:
    import f
if other:
    import g
class C:
    import h
    def method(self):
        try:
            from i import j
        except ImportError:
            pass
"""
    found = [(each.name, each.deferred) for each in imports(source)]
    assert found == [
        ("a.b", False),
        ("c.d", False),
        ("c.e", False),
        ("f", True),
        ("g", False),
        ("h", False),
        ("i.j", True),
    ]
