"""${message}."""

from mainstem.migrations.sql_file import run

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("NNNN_name.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("NNNN_name.down.sql")
