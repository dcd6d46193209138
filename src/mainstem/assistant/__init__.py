"""The assistant: one registry of tools for chat, REST and MCP, and conversations that any process continues."""
