"""Bookings and orders in the vault."""

from mainstem.migrations.sql_file import run

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0015_bookings.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0015_bookings.down.sql")
