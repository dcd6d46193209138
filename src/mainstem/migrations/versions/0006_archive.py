"""Archive: how a row is compared with its copy in a file, and how an archived day leaves the landing."""

from mainstem.migrations.sql_file import run

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0006_archive.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0006_archive.down.sql")
