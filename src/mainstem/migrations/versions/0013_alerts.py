"""Alerts: rules, episodes, silences, and the minutes of the processes that rules are judged by."""

from mainstem.migrations.sql_file import run

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0013_alerts.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0013_alerts.down.sql")
