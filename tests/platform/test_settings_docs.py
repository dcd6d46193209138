"""The generated pages are those of this source; every setting and error kind is on them."""

import ast
from pathlib import Path

import pytest

from mainstem.platform import settings_docs
from mainstem.platform.errors import MainstemError
from mainstem.platform.refusal_codes import MEANINGS, refusal_codes
from mainstem.platform.settings import Settings, environment_names
from mainstem.platform.settings_fields import SECTIONS

ROOT = Path(__file__).parents[2]


def test_the_committed_pages_are_up_to_date() -> None:
    assert settings_docs.check(ROOT) == [], "run: make docs"


def test_drift_is_found_and_written_away(tmp_path: Path) -> None:
    assert settings_docs.check(tmp_path) == list(settings_docs.PAGES)
    assert settings_docs.write(tmp_path) == list(settings_docs.PAGES)
    assert settings_docs.check(tmp_path) == []
    page = tmp_path / "docs/reference/settings.md"
    page.write_text(page.read_text().replace("8000", "8001"))
    assert settings_docs.write(tmp_path) == ["docs/reference/settings.md"]


def test_every_setting_is_in_a_section_and_described() -> None:
    listed = [name for section in SECTIONS for name in section.model_fields]
    assert sorted(listed) == sorted(Settings.model_fields)
    page, example = settings_docs.settings_page(), settings_docs.env_example()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        for known in environment_names(name, field):
            assert f"`{known}`" in page
        assert f"\n#{environment_names(name, field)[0]}=" in example


def test_the_example_file_is_valid_and_changes_nothing(tmp_path: Path) -> None:
    text = settings_docs.env_example()
    active = "\n".join(
        line.removeprefix("#") if line.startswith("#") and line[1:2].isupper() else line for line in text.splitlines()
    )
    (tmp_path / "commented.env").write_text(text)
    (tmp_path / "active.env").write_text(active)
    assert Settings(_env_file=tmp_path / "active.env") == Settings(_env_file=tmp_path / "commented.env")
    assert active != text


def test_every_error_kind_of_the_platform_is_listed() -> None:
    page = settings_docs.errors_page()
    kinds = [MainstemError, *MainstemError.__subclasses__()]
    for kind in kinds:
        if kind.__module__.startswith("mainstem."):
            assert f"| `{kind.code}` |" in page
    assert "| `not_found` | 404 | There is no such thing. |" in page


def test_every_code_of_a_refused_event_has_a_meaning() -> None:
    package = Path(settings_docs.__file__).parents[1]
    found = refusal_codes(ast.parse(path.read_text()) for path in package.rglob("*.py"))
    assert {code for code, _ in found} == set(MEANINGS)
    assert {stage for _, stage in found} == {"intake", "load", "import"}
    page = settings_docs.errors_page()
    for code, meaning in MEANINGS.items():
        assert f"| `{code}` |" in page, code
        assert meaning in page


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("RefusedError('too_deep', str(error))", [("too_deep", "intake")]),
        ("RejectedError('data_invalid', 'No.', 'data')", [("data_invalid", "load")]),
        ("Refused(event, f'sql_{state}', f'PostgreSQL says {error}')", [("sql_…", "load")]),
        ("Reject(stage='intake', code='refused_by_database')", [("refused_by_database", "intake")]),
        ("Reject(1, None, 'intake', error.code, error.reason, None, 'http')", []),
        ("SomeError('not_a_refusal')", []),
    ],
)
def test_the_code_and_stage_of_a_refusal_are_read_from_the_call(call: str, expected: list[tuple[str, str]]) -> None:
    assert refusal_codes([ast.parse(call)]) == expected
