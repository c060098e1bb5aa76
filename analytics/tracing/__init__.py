"""Exchanges as traces: to Langfuse, and to any backend that takes OpenTelemetry.

The flow: Stored → tracer (queues) → exporter (threads) → spans → sinks. Nothing here is on the way of a record into the books.
"""
