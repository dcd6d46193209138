"""Personal data (PII): which members of an event's JSON hold it, whose it is, and how it is sealed and opened.

A layer under the spine: `events.sealing` seals events on their way into the log, `subjects` finds, exports and erases.
Everything here but `store` is pure.
"""
