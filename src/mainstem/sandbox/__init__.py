"""Servers that behave like Tripleseat and Revel, with made-up venues and faults on demand: connectors are tried on them.

`server` runs it, `admin` is how people and tests set it up, `gateway` stands before both servers: it writes the log of calls
and makes the faults. All state is in memory and changed on one event loop only, never across an await.
"""
