"""Clicks on tracked links: facts, statistics, and the relation of the deployment document."""

from mainstem.migrations.sql_file import run

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0010_clicks.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0010_clicks.down.sql")
