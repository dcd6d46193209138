"""Conversations, calls of tools and approvals."""

from mainstem.migrations.sql_file import run

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0018_assistant.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0018_assistant.down.sql")
