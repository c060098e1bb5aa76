"""`make bench`: what Douane costs beside Envoy alone and beside a null processor, measured in one run.

    python -m tests.bench [--quick] [--seconds N] [--rounds N] [--only latency streams record]

Reading order: bodies, upstream, null_processor (what is sent, who answers, who is compared) → processes, contenders (what runs)
→ wrk, streams, records (the three measurements) → sums (medians, targets) → report (tables) → __main__.
"""
