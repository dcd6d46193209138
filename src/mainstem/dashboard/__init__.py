"""The dashboard: figures by HTTP, and what happens as it happens over WebSockets."""
