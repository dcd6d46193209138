"""Personal data: subjects, their keys, and customers in the vault."""

from mainstem.migrations.sql_file import run

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0005_pii.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0005_pii.down.sql")
