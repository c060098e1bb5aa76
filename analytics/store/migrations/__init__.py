"""The schema, revision by revision; run by analytics.store.database.migrate."""
