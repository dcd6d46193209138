"""The spine: what an event is, how it gets in, and how it is kept until it is loaded."""
