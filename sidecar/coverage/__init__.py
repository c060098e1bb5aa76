"""What did not go through customs: hosts passed without inspection, and what Envoy's own counters say about lost sight.

The flow: Envoy's lines and counters → lines, counters → tally (SQLite) → deliver (to analytics), command (`douane coverage`).
Runs in the supervisor; nothing here is on the way of a call.
"""
