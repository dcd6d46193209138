"""Runs one SQL file of `migrations/sql` as it stands, online or into the `--sql` output."""

from contextlib import closing
from importlib.resources import files

from alembic import context, op


def run(name: str) -> None:
    """Execute the statements of `migrations/sql/<name>` in the migration's transaction."""
    sql = files("mainstem.migrations").joinpath("sql", name).read_text(encoding="utf-8")
    if context.is_offline_mode():
        context.get_context().impl.static_output(sql)
    else:
        # straight to the driver without parameters: a percent sign in the file then stands for itself
        with closing(op.get_bind().connection.cursor()) as cursor:
            cursor.execute(sql)
