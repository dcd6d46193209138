"""Tasks of people, and what tells of them."""

from mainstem.migrations.sql_file import run

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0017_tasks.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0017_tasks.down.sql")
