"""The JSON that a run leaves: what it holds, what it must not, and the published schema."""

import copy
import hashlib
import json
import os
import platform
import re
import socket
import statistics
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import rusty_py
from rusty_py.bench.report.json import parse, render, schema

from .program import ROOT, Measured, Sabotaged, figure, kernels, rusty_bench, strict_json

SMALL = ("matmul", "--size", "33", "--tile", "8", "--runs", "1")
SCHEMA = ROOT / "docs" / "schema" / "run-2.json"


def test_the_published_schema_is_that_of_the_code() -> None:
    current = json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    # Where it differs: write `current` there; a change that breaks readers needs a new schema_version.
    assert SCHEMA.read_text(encoding="utf-8") == current


def test_the_published_schema_is_a_schema() -> None:
    for path in SCHEMA.parent.glob("*.json"):
        Draft202012Validator.check_schema(strict_json(path.read_text(encoding="utf-8")))


def test_published_results_of_version_1_fit_the_schemas_that_are_kept_for_them() -> None:
    kept = {
        name: strict_json((SCHEMA.parent / f"{name}-1.json").read_text(encoding="utf-8"))
        for name in ("run", "figures")
    }
    for path in (ROOT / "benchmarks" / "results").glob("*/*.json"):
        document = strict_json(path.read_text(encoding="utf-8"))
        if document["schema_version"] == 1:
            Draft202012Validator(kept["figures" if "command" in document else "run"]).validate(document)


def test_a_run_fits_the_schema(measured: Measured) -> None:
    Draft202012Validator(schema()).validate(measured.json)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["schema_version"], 3),
        (["clock"], "sundial"),
        (["rows", 0, "results", 0, "verdict"], "fine"),
        (["rows", 0, "results", 0, "stats", "median"], "fast"),
        (["rows", 0, "results", 0, "samples", "wall_ns", 0], None),
        (["rows", 0, "problem", "flops"], 0.5),
        (["ceilings"], {}),
    ],
    ids=lambda x: ".".join(map(str, x)) if isinstance(x, list) else "",
)
def test_the_schema_refuses_a_wrong(measured: Measured, path: list[str | int], value: object) -> None:
    document = copy.deepcopy(measured.json)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert not Draft202012Validator(schema()).is_valid(document)


def test_the_json_reads_back_into_the_same_run(measured: Measured) -> None:
    assert render(parse(measured.json_text)) + "\n" == measured.json_text


def test_the_json_says_what_ran_where(measured: Measured) -> None:
    document = measured.json
    context = document["context"]
    assert document["schema_version"] == 2
    assert document["command"] == "matmul"
    assert document["interrupted"] is False
    assert context["command"].startswith("rusty-bench matmul --size 64 --size 31x77x45 --tile 8 --tile naive")
    assert context["options"]["seed"] == 7
    assert (context["options"]["min_samples"], context["options"]["max_samples"]) == (3, 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", context["date"])
    assert context["adapter"].keys() >= {"name", "vendor", "backend", "type", "driver", "limits", "features"}
    assert min(context["adapter"]["limits"].values()) > 0
    assert context["system"]["ram_bytes"] > 2**28
    assert platform.system() in context["system"]["os"] or platform.system() == "Darwin"
    assert context["system"]["cpu"]
    assert context["system"]["threads"] >= context["system"]["cores"] >= 1
    assert context["python"]["version"] == platform.python_version()
    assert context["packages"].keys() >= {"wgpu", "wgpu-native", "numpy", "typer", "tabulate"}
    assert context["blas"]["name"]


def test_the_json_says_which_version_and_commit_ran(measured: Measured) -> None:
    told = measured.json["context"]["rusty_py"]
    assert told["version"] == rusty_py.__version__
    if (ROOT / ".git").exists():
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert head.stdout.startswith(told["commit"].rstrip("+"))
        assert len(told["commit"]) >= 12
    else:
        assert told["commit"] is None


def test_the_json_holds_every_sample_and_the_figures_follow_from_them(measured: Measured) -> None:
    document = measured.json
    assert len(kernels(document)) == 4
    for result in kernels(document):
        samples, flops = result["samples"], result["problem"]["flops"]
        assert samples["rounds"] == [0, 1, 2]
        assert result["clock"] == document["clock"]
        run_ns = [ns / samples["runs"] for ns in samples[f"{document['clock']}_ns"]]
        assert result["stats"]["n"] == 3
        assert result["stats"]["median"] == pytest.approx(statistics.median(run_ns))
        assert result["stats"]["mean"] == pytest.approx(statistics.fmean(run_ns))
        assert (result["stats"]["min"], result["stats"]["max"]) == (min(run_ns), max(run_ns))
        m, k, n = (result["problem"]["axes"][axis] for axis in "mkn")
        assert flops == 2 * m * k * n
        assert figure(result, "GFLOPS") == pytest.approx(flops / result["stats"]["median"])
        assert result["stats"]["median"] * 1.1 >= figure(result, "roofline")
    assert len(document["drift_control_ns"]) == 3 * 2  # A round for each sample of the two problems.
    for row in document["rows"]:
        (numpy,) = (each for each in row["results"] if each["by"] == row["reference"])
        assert (numpy["by"], numpy["verdict"], numpy["clock"]) == ("numpy", "ok", "wall")
        assert len(numpy["samples"]["wall_ns"]) == numpy["stats"]["n"] >= 1


def test_the_json_names_each_kernel_by_the_hash_of_its_text(measured: Measured) -> None:
    naive, tiled, uniforms = (
        (ROOT / "wgsl" / "matmul" / f"{name}.wgsl").read_text(encoding="utf-8")
        for name in ("naive", "tiled", "uniforms")
    )
    naive, tiled = (f"{text}\n{uniforms}\n" for text in (naive, tiled))
    texts = {"naive": naive, "tile 8": tiled.replace("override TILE: u32;", "const TILE: u32 = 8u;")}
    expected = {variant: hashlib.sha256(text.encode()).hexdigest() for variant, text in texts.items()}
    told = {result["by"]: result["sha256"] for result in kernels(measured.json)}
    assert told == expected


def test_no_output_names_the_home_directory(measured: Measured) -> None:
    context = measured.json["context"]
    assert "--json ~/run.json" in context["command"]
    assert context["environment"]["MESA_SHADER_CACHE_DIR"] == "~/cache"
    for text in _texts(measured):
        assert str(measured.home) not in text


@pytest.mark.usefixtures("adapter")
def test_no_output_names_the_host(tmp_path: Path, sabotaged: Sabotaged, measured: Measured) -> None:
    name = "a-telling-host-name"
    done = sabotaged(
        f"""
        import os
        import socket

        real = os.uname()
        os.uname = lambda: os.uname_result((real[0], {name!r}, *real[2:]))
        socket.gethostname = lambda: {name!r}
        """,
        *SMALL,
        *("--json", tmp_path / "run.json", "--out", tmp_path),
    )
    done.succeeds()
    written = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*_*.*")]
    assert len(written) == 2
    for text in (done.out, (tmp_path / "run.json").read_text(encoding="utf-8"), *written):
        assert name not in text
    host = socket.gethostname()
    if len(host) > 3:
        for text in _texts(measured):
            assert not re.search(rf"(?<![\w-]){re.escape(host)}(?![\w-])", text)


def _texts(measured: Measured) -> list[str]:
    files = [path.read_text(encoding="utf-8") for path in measured.out.iterdir()]
    assert files
    return [measured.done.out, measured.json_text, *files]


@pytest.mark.usefixtures("adapter")
def test_a_file_name_that_is_no_unicode_costs_no_run(tmp_path: Path) -> None:
    target = bytes(tmp_path) + b"/\xff.json"
    done = rusty_bench(*SMALL, "--json", target)
    done.succeeds()
    written = Path(os.fsdecode(target)).read_text(encoding="utf-8")
    Draft202012Validator(schema()).validate(strict_json(written))
