"""What `vault check` has verified, what retention took out of the ledger, and indexes by load time."""

from mainstem.migrations.sql_file import run

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0007_rebuild.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0007_rebuild.down.sql")
