"""MCP: the same tools for assistants of others, at /mcp and on a port of its own.

`door` admits or refuses and loads the rest when somebody comes in for the first time: the package `mcp` costs half a second
and 60 MB, which a hub without such visitors never pays.
"""
