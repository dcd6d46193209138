"""Accounts: sessions, links by mail, invitations, keys of people."""

from mainstem.migrations.sql_file import run

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0016_accounts.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0016_accounts.down.sql")
