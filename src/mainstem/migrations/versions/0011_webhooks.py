"""Webhooks: endpoints, messages, deliveries, their queue and their figures."""

from mainstem.migrations.sql_file import run

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0011_webhooks.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0011_webhooks.down.sql")
