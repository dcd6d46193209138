"""Site tracking: sessions, roll-ups, and the functions of its SQL contract."""

from mainstem.migrations.sql_file import run

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0004_site.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0004_site.down.sql")
