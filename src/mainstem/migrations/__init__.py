"""Alembic revisions that run plain SQL files; `mainstem migrate` is their door."""
