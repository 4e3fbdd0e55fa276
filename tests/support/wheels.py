"""Distributions for tests: put on the path, or built as wheels and installed where nothing of this checkout is within reach."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from packaging.utils import parse_wheel_filename
from tests.host.test_packaging import MANIFESTS, Installation, pip, report

ROOT = Path(__file__).parents[2]


def put_on_path(place: Path, name: str, modules: Mapping[str, str], version: str = "1.0") -> None:
    """Lay out a pure distribution in ``place`` as pip would: ``modules`` by name, each also an entry point without its prefix.

    ``place`` goes to ``PYTHONPATH`` or ``sys.path``.
    """
    place.mkdir(parents=True, exist_ok=True)
    info = place / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    points = [f"{module.removeprefix('tradeshell_')} = {module}" for module in modules]
    (info / "entry_points.txt").write_text("\n".join(["[tradeshell]", *points, ""]), encoding="utf-8")
    for module, text in modules.items():
        (place / f"{module}.py").write_text(text, encoding="utf-8")


def build_wheels(place: Path, *sources: Path) -> list[Path]:
    """Build a wheel of each source folder into ``place``, from copies: a checkout stays as it is."""
    copies = []
    for number, source in enumerate(sources):
        copies.append(place / "source" / str(number) / source.name)
        shutil.copytree(source, copies[-1], ignore=shutil.ignore_patterns("__pycache__", "dist", "build"))
    alone = ("--no-index", "--no-deps", "--no-build-isolation")
    done = pip("wheel", *alone, "--wheel-dir", place / "dist", *copies, cwd=place)
    assert done.returncode == 0, report(done)
    return sorted((place / "dist").glob("*.whl"))


def install(place: Path, *more: Path) -> Installation:
    """Return an environment with the host, all bundled plugins and ``more`` source folders, every one from its wheel."""
    built = build_wheels(place / "ours", *(folder_of(name) for name in MANIFESTS))
    wheels = {str(parse_wheel_filename(wheel.name)[0]): wheel for wheel in built}
    installed = Installation(place / "installed", wheels, list(MANIFESTS))
    into = ("--python", installed.python)
    extra = build_wheels(place / "more", *more)
    done = pip(*into, "install", "--no-index", "--no-deps", *extra, cwd=installed.home)
    assert done.returncode == 0, report(done)
    done = pip(*into, "check", cwd=installed.home)
    assert done.returncode == 0, report(done)
    return installed


def folder_of(name: str) -> Path:
    """Return the source folder of a distribution of ours by its short name."""
    return ROOT / "host" if name == "host" else ROOT / "plugins" / name


def path_with(*places: Path) -> str:
    """Return a ``PYTHONPATH`` with ``places`` before what is there already."""
    return os.pathsep.join([*(str(place) for place in places), *filter(None, [os.environ.get("PYTHONPATH")])])
