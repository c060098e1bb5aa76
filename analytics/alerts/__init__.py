"""Alerts: rules over records and rollups, grouped, silenced, escalated, and told to people, with nothing lost on the way."""
