"""People's rights: who is known (`find`), all that is known of them (`export`), and to be forgotten (`erase`)."""

from mainstem.subjects.routes import build_router

__all__ = ["build_router"]
