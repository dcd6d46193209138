"""Tenants, keys, users and shared counters."""

from mainstem.migrations.sql_file import run

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0001_platform.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0001_platform.down.sql")
