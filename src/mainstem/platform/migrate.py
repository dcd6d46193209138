"""Schema migrations: Alembic revisions that run plain SQL files."""

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, make_url

from mainstem import migrations


def _config(dsn: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(str(files(migrations)))))
    config.attributes["url"] = sqlalchemy_url(dsn)
    return config


def sqlalchemy_url(dsn: str) -> URL:
    """Return the SQLAlchemy form (psycopg driver) of a libpq URL."""
    return make_url(dsn).set(drivername="postgresql+psycopg")


def upgrade(dsn: str) -> None:
    """Bring the database to the newest revision."""
    command.upgrade(_config(dsn), "head")


def downgrade(dsn: str, revision: str) -> None:
    """Take the database back to a revision (`-1` for one step, `base` for none)."""
    command.downgrade(_config(dsn), revision)
