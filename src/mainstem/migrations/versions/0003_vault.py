"""The vault: hubs, links, facts, satellites, the dedupe gate and the pipeline's roll-ups."""

from mainstem.migrations.sql_file import run

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0003_vault.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0003_vault.down.sql")
