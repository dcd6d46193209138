"""The installation's secret and what is derived from it."""

import subprocess
import sys
from pathlib import Path

import pytest

from mainstem.platform.secrets import FILE_NAME, SecretError, derive, secret_key
from mainstem.platform.settings import Environment, Settings


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)


def test_the_setting_wins(tmp_path: Path) -> None:
    assert secret_key(settings(secret_key="k" * 40), tmp_path) == b"k" * 40
    assert not (tmp_path / FILE_NAME).exists()


def test_a_generated_secret_stays_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = secret_key(settings(), folder)
    assert len(first) >= 64
    assert secret_key(settings(), folder) == first
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_two_installations_have_different_secrets(tmp_path: Path) -> None:
    assert secret_key(settings(), tmp_path / "a") != secret_key(settings(), tmp_path / "b")


_MAKE = """
import sys
from pathlib import Path
from mainstem.platform.secrets import secret_key
from mainstem.platform.settings import Settings
sys.stdin.read()
print(secret_key(Settings(_env_file=None), Path(sys.argv[1])).decode())
"""


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MAKE, str(tmp_path / "data")]
    made = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in made:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    assert len({process.communicate()[0] for process in made}) == 1


def test_production_generates_nothing(tmp_path: Path) -> None:
    production = settings(secret_key="aB3" * 20 + "0123456789")
    production.secret_key = None
    production.environment = Environment.PRODUCTION
    with pytest.raises(SecretError, match="SECRET_KEY"):
        secret_key(production, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_half_a_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("short\n")
    with pytest.raises(SecretError, match=FILE_NAME):
        secret_key(settings(), tmp_path)


def test_each_purpose_has_its_own_key() -> None:
    keys = {derive(b"x" * 40, purpose) for purpose in ("jwt", "visitor", "ip")}
    assert len(keys) == 3
    assert {len(key) for key in keys} == {32}
    assert derive(b"x" * 40, "jwt") != derive(b"y" * 40, "jwt")
