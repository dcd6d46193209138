"""Tokens of connectors' sources, and what deliveries and bookings remember."""

from mainstem.migrations.sql_file import run

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0019_connector_tokens.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0019_connector_tokens.down.sql")
