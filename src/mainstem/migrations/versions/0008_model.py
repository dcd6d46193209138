"""Views for people, comments on every column, models of users, and snapshots that close."""

from mainstem.migrations.sql_file import run

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0008_model.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0008_model.down.sql")
