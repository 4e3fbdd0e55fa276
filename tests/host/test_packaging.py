"""The distributions fit together, build, and work where nothing of this checkout is within reach."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).parents[2]
MANIFESTS: dict[str, dict[str, Any]] = {
    path.parent.name: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in [ROOT / "host/pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
}
PLUGINS = sorted(set(MANIFESTS) - {"host"})
WORKSPACE: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
VERSION: str = MANIFESTS["host"]["project"]["version"]
OURS = {canonicalize_name(manifest["project"]["name"]) for manifest in MANIFESTS.values()}


def locked() -> dict[str, str]:
    """Return the version that constraints.txt gives each distribution for the Python that runs this."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: *; *([^\\\n]+))?", CONSTRAINTS, flags=re.MULTILINE)
    return {
        canonicalize_name(name): version
        for name, version, marker in pins
        if not marker or Marker(marker.strip()).evaluate()
    }


def requirements(of: str) -> list[Requirement]:
    """Return what a distribution of ours needs at run time, without extras."""
    return [Requirement(text) for text in MANIFESTS[of]["project"]["dependencies"]]


# --- one version, one lock --------------------------------------------------------------------------------------------


def test_all_distributions_carry_one_version() -> None:
    assert dict.fromkeys(MANIFESTS, VERSION) == {
        folder: manifest["project"]["version"] for folder, manifest in MANIFESTS.items()
    }


@pytest.mark.parametrize("folder", PLUGINS)
def test_a_plugin_fits_exactly_its_host(folder: str) -> None:
    pins = [str(need) for need in requirements(folder) if canonicalize_name(need.name) in OURS]
    assert pins == [f"tradeshell=={VERSION}"]


def test_the_extra_all_pins_every_bundled_plugin() -> None:
    pins = MANIFESTS["host"]["project"]["optional-dependencies"]["all"]
    assert sorted(pins) == sorted(f"{MANIFESTS[folder]['project']['name']}=={VERSION}" for folder in PLUGINS)


@pytest.mark.parametrize("folder", PLUGINS)
def test_folder_package_distribution_and_entry_point_share_a_name(folder: str) -> None:
    project = MANIFESTS[folder]["project"]
    assert project["name"] == f"tradeshell-{folder.replace('_', '-')}"
    assert project["entry-points"] == {"tradeshell": {folder: f"tradeshell_{folder}"}}
    assert (ROOT / "plugins" / folder / f"tradeshell_{folder}" / "py.typed").is_file()


def test_layers_and_coverage_know_every_package() -> None:
    packages = ["tradeshell", *(f"tradeshell_{folder}" for folder in PLUGINS)]
    assert sorted(WORKSPACE["tool"]["importlinter"]["root_packages"]) == [
        "tests.simulation.checker",
        *packages,
    ]
    assert sorted(WORKSPACE["tool"]["coverage"]["run"]["source_pkgs"]) == packages


def test_the_lock_holds_what_every_manifest_asks_for() -> None:
    asked = [Requirement(text) for text in WORKSPACE["dependency-groups"]["dev"]]
    for folder, manifest in MANIFESTS.items():
        asked += requirements(folder)
        asked += [Requirement(text) for text in manifest["build-system"]["requires"]]
        for extra in manifest["project"].get("optional-dependencies", {}).values():
            asked += [Requirement(text) for text in extra]
    pins = locked()
    wanting = [
        str(need)
        for need in asked
        if canonicalize_name(need.name) not in OURS
        and not need.specifier.contains(pins.get(canonicalize_name(need.name), "0"), prereleases=True)
    ]
    assert wanting == [], "run `make lock`"


def test_every_locked_distribution_has_a_hash() -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", CONSTRAINTS, flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


# --- nothing of anybody's machine -------------------------------------------------------------------------------------

# Written so that this file does not match itself.
PRIVATE = {
    "the address of a package registry": re.compile(
        r"\bpyp[i]\.|pythonhoste[d]|//[^\s/]*pyp[i]|https?://\S+/simpl[e]\b|(?<!emit-)\b(?:index-ur[l]|find-link[s])[ =]",
        re.IGNORECASE,
    ),
    "a path of one machine": re.compile(r"(?<![\w.~$}-])/(?:root|home|work|opt|Users|mnt)/\w"),
}


def committed() -> list[Path]:
    """Return the files that are in git, or would be with the next `git add`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_holds_a_registry_or_a_path_of_this_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: git says what is committed")
    here = [str(place) for place in (ROOT, Path.home(), Path(sys.prefix)) if len(place.parts) > 1]
    found = []
    for path in committed():
        text = path.read_bytes().decode("utf-8", errors="replace")
        if "\0" in text:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            reasons = [what for what, pattern in PRIVATE.items() if pattern.search(line)]
            reasons += [
                f"the path {place}" for place in here if re.search(rf"(?<!\w){re.escape(place)}\b", line)
            ]
            found += [f"{path.relative_to(ROOT)}:{number}: {what}" for what in reasons]
    assert found == []


# --- wheels -----------------------------------------------------------------------------------------------------------


def run(*command: str | Path, cwd: Path, timeout: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a place of its own: no home, no PYTHONPATH and no settings of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "SYSTEMROOT") if name in os.environ}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept | {"HOME": str(cwd), "TERM": "dumb", "PYTHONUTF8": "1"} | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def report(done: subprocess.CompletedProcess[str]) -> str:
    """Say all there is to say about a program that did not do what it should."""
    return f"{done.args} ended with {done.returncode}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"


def pip(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the pip that set up this environment."""
    return run(sys.executable, "-m", "pip", "--disable-pip-version-check", *words, cwd=cwd)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build every distribution of ours, from copies: a checkout stays as it is."""
    place = tmp_path_factory.mktemp("wheels")
    sources = []
    for folder in MANIFESTS:
        source = ROOT / "host" if folder == "host" else ROOT / "plugins" / folder
        copy = place / "source" / folder
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "dist", "build"))
        sources.append(copy)
    alone = ("--no-index", "--no-deps", "--no-build-isolation")
    done = pip("wheel", *alone, "--wheel-dir", place / "dist", *sources, cwd=place)
    assert done.returncode == 0, report(done)
    return {str(parse_wheel_filename(path.name)[0]): path for path in (place / "dist").glob("*.whl")}


def third_party(folders: list[str]) -> set[str]:
    """Return the names of everything that these distributions of ours need, directly or not."""
    found: set[str] = set()
    todo = [(need.name, need.extras) for folder in folders for need in requirements(folder)]
    while todo:
        name, extras = todo.pop()
        if canonicalize_name(name) in OURS | found:
            continue
        found.add(canonicalize_name(name))
        for text in distribution(name).requires or []:
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                todo.append((need.name, need.extras))
    return found


class Installation:
    """An environment with wheels of ours and exactly the locked third party that they ask for.

    The third party is copied from the environment that runs the tests, which `make setup` filled from the lock with its
    hashes: the same files, and no network in a test.
    """

    def __init__(self, place: Path, wheels: dict[str, Path], folders: list[str]) -> None:
        self.place = place
        self.home = place / "home"
        self.home.mkdir(parents=True)
        builder = venv.EnvBuilder(symlinks=os.name != "nt")
        builder.create(place / "venv")
        context = builder.ensure_directories(place / "venv")
        self.bin = Path(context.bin_path)
        self.python = Path(context.env_exe)
        where = run(
            self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=self.home
        )
        packages = Path(where.stdout.strip())
        for name in third_party(folders):
            self._copy(name, packages)
        ours = [wheels[canonicalize_name(MANIFESTS[folder]["project"]["name"])] for folder in folders]
        # From outside: the environment itself holds nothing that tradeshell does not ask for, not even pip.
        done = pip("--python", self.python, "install", "--no-index", "--no-deps", *ours, cwd=self.home)
        assert done.returncode == 0, report(done)
        done = pip("--python", self.python, "check", cwd=self.home)
        assert done.returncode == 0, report(done)

    def _copy(self, name: str, packages: Path) -> None:
        dist = distribution(name)
        assert locked().get(canonicalize_name(name)) == dist.version, (
            f"{name}: run `make lock`, then `make setup`"
        )
        for file in dist.files or []:
            if ".." not in file.parts and file.suffix != ".pyc":  # neither scripts nor caches
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)

    def tradeshell(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the installed program as a stranger would."""
        return run(self.bin / "tradeshell", *words, cwd=self.home, timeout=timeout)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Installation:
    """Install the host with all bundled plugins."""
    return Installation(tmp_path_factory.mktemp("everything"), wheels, list(MANIFESTS))


@pytest.fixture(scope="module")
def host_alone(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Installation:
    """Install the host and nothing else."""
    return Installation(tmp_path_factory.mktemp("host-alone"), wheels, ["host"])


def test_every_distribution_builds(wheels: dict[str, Path]) -> None:
    assert dict.fromkeys(OURS, VERSION) == {
        name: str(parse_wheel_filename(path.name)[1]) for name, path in wheels.items()
    }


@pytest.mark.timeout(120)
def test_the_demo_runs_from_wheels_alone(everything: Installation) -> None:
    origin = run(
        everything.python, "-c", "import tradeshell; print(tradeshell.__file__)", cwd=everything.home
    )
    assert str(everything.place) in origin.stdout, report(origin)
    done = everything.tradeshell("demo", "--speed", "max", timeout=90)
    assert done.returncode == 0, report(done)
    assert "Traceback" not in done.stdout + done.stderr, report(done)


@pytest.mark.timeout(120)
def test_the_host_alone_is_a_shell_that_says_what_to_install(host_alone: Installation) -> None:
    done = host_alone.tradeshell("-c", "plugins")
    assert done.returncode == 0, report(done)
    said = done.stdout
    assert [name for name in PLUGINS if name not in said] == [], report(done)
    assert "pip install" in said, report(done)
