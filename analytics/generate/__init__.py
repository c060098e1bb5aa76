"""Realistic traffic whose truth is known: for benchmarks, for tests of what analytics finds, for trying the dashboard.

In: a Plan. Out: `generate(plan)`, an iterator of lists of DecisionRow with a `truth`. Nothing of it runs in the service.
The line: plan -> people, events -> rhythm (when, who) -> calls (how) -> verdict (what was done) -> rows, truth.
"""

from analytics.generate.plan import Plan
from analytics.generate.traffic import Traffic, generate
from analytics.generate.truth import Truth

__all__ = ["Plan", "Traffic", "Truth", "generate"]
