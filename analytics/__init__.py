"""Douane's analytics service: stores decision records, aggregates them, answers the API and the dashboard."""
