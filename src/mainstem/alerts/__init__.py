"""Alerts: rules over roll-ups, their states, silences, and who is told."""
