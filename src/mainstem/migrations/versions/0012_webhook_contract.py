"""The relations and functions by which the deployment document of webhooks knows deliveries."""

from mainstem.migrations.sql_file import run

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the SQL file."""
    run("0012_webhook_contract.up.sql")


def downgrade() -> None:
    """Apply the SQL file that undoes it."""
    run("0012_webhook_contract.down.sql")
