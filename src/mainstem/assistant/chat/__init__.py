"""Conversations: kept in rows, answered by a model, continued by any process."""
