"""Tracked links, their domains, campaigns and tags."""

from mainstem.migrations.sql_file import run

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0009_links.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0009_links.down.sql")
