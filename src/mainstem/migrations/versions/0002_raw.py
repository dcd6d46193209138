"""The landing: ledger, raw events, rejects."""

from mainstem.migrations.sql_file import run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0002_raw.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0002_raw.down.sql")
