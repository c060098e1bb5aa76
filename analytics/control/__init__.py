"""What analytics tells sidecars: policies, user risk, budgets, prices."""
