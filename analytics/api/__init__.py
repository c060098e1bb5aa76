"""The REST API under /api, Swagger at /docs, Prometheus at /metrics: one router a noun."""
