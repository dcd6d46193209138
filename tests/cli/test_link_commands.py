"""`mainstem links`: what is printed, and the exit codes."""

import json


def test_links_are_made_listed_shown_and_archived(on_database, dsn: str) -> None:
    made = on_database(
        "links", "create", "https://example.com/menu", "--slug", "menu", "--tag", "print", "--title", "The menu"
    )
    assert (made.code, made.out.strip()) == (0, "http://127.0.0.1:8000/menu")
    listed = on_database("links", "list", "--json")
    (link,) = json.loads(listed.out)
    assert (link["slug"], link["tags"], link["created_by"]) == ("menu", ["print"], "cli")
    assert "The menu" in on_database("links", "list", "--tag", "print").out
    assert "target_url: https://example.com/menu" in on_database("links", "show", str(link["id"])).out
    assert on_database("links", "archive", str(link["id"])).code == 0
    assert json.loads(on_database("links", "list", "--json").out) == []
    assert len(json.loads(on_database("links", "list", "--archived", "--json").out)) == 1


def test_faults_are_one_line(on_database, dsn: str) -> None:
    bad = on_database("links", "create", "javascript:alert(1)")
    assert bad.code == 1
    assert "target_url must begin with" in bad.err
    assert on_database("links", "show", "99").code == 1
    assert "no links" in on_database("links", "list").err
    assert on_database("links", "list", "--tenant", "nobody").code == 1


def test_links_go_out_and_come_in_again(on_database, dsn: str, tmp_path) -> None:
    for number in range(3):
        on_database("links", "create", f"https://example.com/{number}", "--slug", f"s{number}")
    file = tmp_path / "links.csv"
    assert on_database("links", "export", "--file", str(file)).code == 0
    assert file.read_text().count("\n") == 4
    again = on_database("links", "import", str(file), "--json")
    assert (json.loads(again.out)["skipped"], again.code) == (3, 0)
    file.write_text("Bitlink,Long URL\nbit.ly/new,https://example.com/new\nbit.ly/bad,javascript:x\n")
    dry = on_database("links", "import", str(file), "--dry-run")
    assert "2 rows of bitly: 1 would be created" in dry.out
    told = on_database("links", "import", str(file))
    assert told.code == 1
    assert "line 3:" in told.err
    assert "1 created" in told.out
    assert on_database("links", "import", str(tmp_path / "none.csv")).code == 1
