"""Tasks: what people have to do, and when."""
