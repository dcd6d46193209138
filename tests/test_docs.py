"""The documentation is complete and leads nowhere wrong."""

import re
from pathlib import Path

import pytest

from mainstem.cli.generated import PAGES

ROOT = Path(__file__).parents[1]
PAGES_OF_DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CHECK = re.compile(r"`((?:tests|bench)/[\w./]*)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_files_are_current(name: str):
    assert (ROOT / name).read_text() == PAGES[name](), f"{name} has drifted: run `make docs`"


@pytest.mark.parametrize("page", PAGES_OF_DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(page: Path):
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("decision", sorted(ROOT.glob("docs/adr/*.md")), ids=lambda page: page.stem)
def test_a_decision_names_the_checks_that_hold_it(decision: Path):
    named = CHECK.findall(decision.read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_is_reachable_from_the_readme():
    readme = (ROOT / "README.md").read_text()
    for folder in ("docs/guides", "docs/reference", "docs/tutorial.md", "docs/operations.md", "ARCHITECTURE.md"):
        assert f"({folder})" in readme
