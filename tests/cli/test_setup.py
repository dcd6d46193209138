"""`deploy/setup.sh` says in one line what a machine lacks, and leaves a good environment alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "setup.sh"


def script(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder that is the whole PATH of a poor machine."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("rm", "touch", "pwd", "dirname"):
        (tools / tool).symlink_to(next(path for path in (Path("/bin", tool), Path("/usr/bin", tool)) if path.exists()))
    return tools


def setup(machine: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", SCRIPT, ".venv"],
        cwd=machine.parent,
        env={"PATH": str(machine), **({"HOME": os.environ["HOME"]} if "HOME" in os.environ else {})},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_python_at_all(machine: Path) -> None:
    done = setup(machine)
    assert done.returncode == 1
    assert done.stderr.startswith("setup: Python 3.11 or newer is needed, found no python3.")
    assert "apt install python3 python3-venv" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_old_python_is_named(machine: Path) -> None:
    script(machine, "python3", 'case "$1" in --version) echo "Python 3.9.2" ;; *) exit 1 ;; esac')
    done = setup(machine)
    assert done.returncode == 1
    assert done.stderr.startswith("setup: Python 3.11 or newer is needed, found Python 3.9.2.")


def test_a_newer_python_beside_an_old_one_is_found(machine: Path) -> None:
    script(machine, "python3", "exit 1")
    script(machine, "python3.12", 'case "$2" in *ensurepip*) exit 1 ;; *print*) echo 3.12 ;; esac')
    done = setup(machine)
    assert done.returncode == 1
    assert done.stderr.startswith("setup: python3.12 has no venv module. Debian, Ubuntu: apt install python3.12-venv")


def test_an_environment_that_works_is_kept_and_marked(machine: Path) -> None:
    (machine / "python3").symlink_to(sys.executable)
    folder = machine.parent
    (folder / ".venv" / "bin").mkdir(parents=True)
    asked = folder / "asked"
    # answers as the Python of an environment that is whole, and notes what it was told to install
    answer = f'case "$2" in *prefix*) echo "{folder.resolve()}/.venv" ;; pip) echo "$@" >>"{asked}" ;; esac'
    script(folder / ".venv" / "bin", "python", answer)
    done = setup(machine)
    assert done.returncode == 0, done.stderr
    assert "making" not in done.stderr
    assert "--editable . --group dev" in asked.read_text(encoding="utf-8")
    # the mark names the folder: an environment does not survive a move
    assert (folder / ".venv" / ".ready").read_text(encoding="utf-8") == f"{folder}\n"


def test_a_failed_installation_leaves_no_mark(machine: Path) -> None:
    (machine / "python3").symlink_to(sys.executable)
    folder = machine.parent
    (folder / ".venv" / "bin").mkdir(parents=True)
    answer = f'case "$*" in *prefix*) echo "{folder.resolve()}/.venv" ;; *--editable*) exit 1 ;; esac'
    script(folder / ".venv" / "bin", "python", answer)
    done = setup(machine)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("setup: installing failed")
    assert not (folder / ".venv" / ".ready").exists()
