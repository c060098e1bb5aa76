"""Envoy's configuration, built in types (envoy-data-plane) from a GatewaySpec.

In: a GatewaySpec. Out: the bootstrap, the route tables and the doors' listeners as JSON texts that Envoy reads.
Tables and listeners are files of their own that Envoy watches, so that a policy change (of mode, which decides whether Envoy
fails open or closed; of unknown hosts) takes effect without a restart and without draining the gateway.
Never: starts Envoy (the supervisor does), reads settings (config.py does). Nothing is imported here, because workers need the
provider table and must not pay for Envoy's configuration types (a second, and 50 MiB).
"""
