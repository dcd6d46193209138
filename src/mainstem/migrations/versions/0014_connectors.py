"""Connectors: raw deliveries, the order ledger, mappings, runs and their differences."""

from mainstem.migrations.sql_file import run

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0014_connectors.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0014_connectors.down.sql")
