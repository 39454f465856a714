"""The sdist, the wheel made from it, and the program installed from that, far from the checkout."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import rusty_py
from rusty_py.profile.prior import NAMES

from .program import ROOT, Done, run, table

OURS = {path.relative_to(ROOT / "wgsl").as_posix() for path in (ROOT / "wgsl").glob("**/*.wgsl")}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and with the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(build, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def sdist(archives: Path) -> set[str]:
    """The names in the sdist, below its top folder."""
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.fixture(scope="module")
def wheel(archives: Path) -> Path:
    (path,) = archives.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it, and this one's packages for what it depends on."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True, symlinks=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--no-deps", "--no-index", wheel]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def _run(installed: Path, program: str, *arguments: str) -> Done:
    return run([installed / "bin" / program, *arguments], cwd="/", env={"PYTHONPATH": None})


def test_the_sdist_holds_what_is_needed_to_build_and_test(sdist: set[str]) -> None:
    assert sdist >= {f"wgsl/{name}" for name in OURS}
    assert sdist >= {"pyproject.toml", "README.md", "LICENSE", "rusty_py/py.typed", "rusty_py/bench/cli.py"}
    assert sdist >= {"tests/system/test_package.py", "docs/schema/run-1.json"}


def test_the_archives_hold_no_rubbish(sdist: set[str], wheel: Path) -> None:
    names = sdist | set(zipfile.ZipFile(wheel).namelist())
    rubbish = ("__pycache__", "node_modules", ".pyc", ".venv", ".git/", "_cache/", ".egg-info", ".hypothesis")
    assert [name for name in names if any(word in name for word in rubbish)] == []


def test_the_wheel_holds_the_shaders_and_the_marker_of_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.removeprefix("rusty_py/wgsl/") for name in names if name.endswith(".wgsl")} == OURS
    assert names >= {"rusty_py/py.typed", "rusty_py/__init__.py", "rusty_py/bench/report/json.py"}
    assert names >= {f"rusty_py/profile/priors/{name}.json" for name in NAMES}


def test_the_archives_hold_the_data_of_the_package(tmp_path: Path) -> None:
    """Files that are no modules, wherever they are."""
    for name in ("rusty_py", "wgsl"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "rusty_py" / "gemm" / "data.json").write_text("{}")
    build = [sys.executable, "-m", "hatchling", "build", "-d", tmp_path / "dist"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = (tmp_path.glob(f"dist/*.{kind}") for kind in ("whl", "tar.gz"))
    assert "rusty_py/gemm/data.json" in zipfile.ZipFile(wheel).namelist()
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("/rusty_py/gemm/data.json") for name in archive.getnames())


def test_the_wheel_installs_the_package_alone(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"rusty_py", f"rusty_py-{rusty_py.__version__}.dist-info"}


@pytest.mark.usefixtures("adapter")
def test_the_installed_program_runs_outside_the_checkout(installed: Path) -> None:
    done = _run(installed, "rusty-bench", "matmul", "--size", "32", "--runs", "3")
    done.succeeds()
    assert [row["kernel"] for row in table(done.out)] == ["auto", "naive", "tile 8", "tile 16", "tile 32"]


@pytest.mark.usefixtures("adapter")
def test_the_installed_package_multiplies_with_its_own_shaders(installed: Path) -> None:
    done = _run(
        installed,
        "python",
        "-c",
        "import numpy as np, rusty_py, rusty_py.shaders\n"
        "a = np.arange(6, dtype=np.float32).reshape(2, 3)\n"
        "print(rusty_py.matmul(a, a.T).tolist(), rusty_py.__file__, rusty_py.shaders.root(), sep='\\n')",
    )
    done.succeeds()
    product, module, shaders = done.out.splitlines()
    assert product == "[[5.0, 14.0], [14.0, 50.0]]"
    for path in (module, shaders):
        assert Path(path).is_relative_to(installed)
        assert not Path(path).is_relative_to(ROOT)


@pytest.mark.usefixtures("adapter")
def test_the_installed_package_claims_no_commit(installed: Path) -> None:
    done = _run(installed, "rusty-bench", "info")
    done.succeeds()
    assert f"version: {rusty_py.__version__}\n  commit: unknown\n" in done.out


@pytest.mark.usefixtures("adapter")
def test_the_installed_doctor_finds_its_shaders(installed: Path) -> None:
    done = _run(installed, "rusty-bench", "doctor")
    done.succeeds()
    assert f"shaders: {len(OURS)} found" in done.out
