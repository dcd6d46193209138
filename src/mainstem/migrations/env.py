"""Alembic environment: one connection, raw SQL, no metadata."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

url = context.config.attributes["url"]

if context.is_offline_mode():
    context.configure(url=url, version_table="schema_version", literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        context.configure(connection=connection, version_table="schema_version")
        with context.begin_transaction():
            context.run_migrations()
