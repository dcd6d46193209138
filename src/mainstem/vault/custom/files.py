"""Model files: where they are, and what they hold. YAML is data; a Python file is run, as part of this program is."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from mainstem.vault.custom.build import build
from mainstem.vault.custom.document import ModelError
from mainstem.vault.custom.model import Format, Model, check
from mainstem.vault.engine.snapshot import Bridge, PointInTime
from mainstem.vault.feed import Feed
from mainstem.vault.model import EVENT_COLUMNS, GENERAL, TAKEN

NAMES: Final = ("vault.yaml", "vault.yml", "vault.py")


def find(setting: Path | None, data_dir: Path) -> Path | None:
    """Return the model file: the one set, else the first of NAMES in the data folder; None where there is none."""
    if setting is not None:
        return setting
    return next((path for name in NAMES if (path := data_dir / name).is_file()), None)


def load(path: Path, builtin: Sequence[Feed]) -> Model:
    """Return the model of a file, checked against the built-in feeds. Raises ModelError or OSError."""
    return parse(path.read_text(encoding="utf-8"), str(path), format_of(path), builtin)


def format_of(path: Path) -> Format:
    """Return what kind of file it is, by its name."""
    return "python" if path.suffix == ".py" else "yaml"


def digest(path: Path) -> str | None:
    """Return the SHA-256 of a file in hex; None where it can't be read."""
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def parse(text: str, file: str, format_: Format, builtin: Sequence[Feed]) -> Model:
    """Return the model of a text, checked against the built-in feeds. Raises ModelError."""
    model = build(text, file) if format_ == "yaml" else _python(text, file)
    check(model, builtin, TAKEN)
    return model


def _python(text: str, file: str) -> Model:
    """Run a Python file; it leaves FEEDS, and SNAPSHOTS where there are any."""
    names: dict[str, object] = {"__name__": "mainstem_vault_model", "__file__": file}
    try:
        exec(compile(text, file, "exec"), names)  # noqa: S102 - the operator's own file, named in the settings
    except Exception as error:
        raise ModelError([f"{file}: it fails: {type(error).__name__}: {error}"]) from error
    if "FEEDS" not in names:
        raise ModelError([f"{file}: FEEDS is missing: a list of Feed"])
    problems: list[str] = []
    feeds, snapshots = _listed(names, "FEEDS"), _listed(names, "SNAPSHOTS")
    problems += [f"{file}: FEEDS: expected Feed, found {one!r}" for one in feeds if not isinstance(one, Feed)]
    problems += [
        f"{file}: {one.name}: its stage must start with EVENT_COLUMNS, its rows with stage_event(event)"
        for one in feeds
        if isinstance(one, Feed) and one.columns[: len(EVENT_COLUMNS)] != EVENT_COLUMNS
    ]
    problems += [
        f"{file}: SNAPSHOTS: expected PointInTime or Bridge, found {one!r}"
        for one in snapshots
        if not isinstance(one, PointInTime | Bridge)
    ]
    if problems:
        raise ModelError(problems)
    return Model(
        feeds=tuple(_with_general(feed) for feed in feeds if isinstance(feed, Feed)),
        snapshots=tuple(one for one in snapshots if isinstance(one, PointInTime | Bridge)),
        path=file,
        format="python",
        sha256=sha256(text.encode()).hexdigest(),
        source=text,
    )


def _listed(names: dict[str, object], name: str) -> list[object]:
    value = names.get(name, ())
    return list(value) if isinstance(value, list | tuple) else [value]


def _with_general(feed: Feed) -> Feed:
    return replace(feed, structures=(*GENERAL, *(spec for spec in feed.structures if spec not in GENERAL)))
