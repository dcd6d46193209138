"""A connector by configuration: a signed webhook in, a JSON order out; what is where in them is said by a file."""
