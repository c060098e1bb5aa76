"""What a policy costs a request: `python -m tests.bench.policy`.

In: nothing. Out: microseconds for one exchange without sockets (request, verdict, whole answer, completion), with a policy
that says nothing and with one of many overrides, exceptions and budgets; and what each part of a ruling takes of it.
Each number is the least of several rounds: what disturbs a measurement only ever adds.
"""

import time
from collections.abc import Callable
from itertools import count

from sidecar.detectors.ruleset import Ruleset
from sidecar.extproc.events import AnswerHead, Ended, Inspected, RequestBody, ResponseBody
from sidecar.extproc.exchange import Exchange
from sidecar.extproc.ruling import Received, ruled
from sidecar.extproc.surroundings import Surroundings
from sidecar.pipeline import Pipeline
from sidecar.policy import Compiled, Facts, Policy, PolicySet, parse_policy
from tests.sidecar.values import CHAT, DECISION_ID, answer, around, chat

ROUNDS, TIMES = 7, 2_000
_ASK, _ANSWER = chat("Which trains go from Paris to Lyon?"), answer("Several each hour.")


def many(number: int = 30) -> Policy:
    """Return a policy with so many overrides, exceptions and budgets, of which a few match."""
    text = "overrides:\n"
    for place in range(number):
        match = f"{{user: [u{place}, 'a?a*{place % 3}', ada], model: 'gpt-{place % 7}*'}}"
        text += f"- {{name: o{place}, match: {match}, set: {{deny_score: 12}}}}\n"
    text += "exceptions:\n"
    for place in range(number):
        text += f"- {{rule: 'r{place}.*', until: 2099-01-01, reason: r, who: w, match: {{team: t{place}}}}}\n"
    text += "budgets:\n"
    for place in range(number):
        match = "{}" if place < 3 else f"{{user: u{place}}}"
        text += f"- {{name: b{place}, per: user, limit: 1000000000, unit: requests, window: day, match: {match}}}\n"
    return parse_policy(text, Policy())


def least_us(work: Callable[[], object], times: int = TIMES) -> float:
    """Return the microseconds of one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter_ns() - began) / times / 1000)
    return best


def exchange_us(policy: Policy) -> float:
    """Return what one exchange takes, its inspection left out."""
    surroundings: Surroundings = around(pipeline=Pipeline(lambda: 0, Ruleset((), "none")))
    policies, head = PolicySet.one(policy), AnswerHead(200, "via_upstream")
    inspection = surroundings.pipeline.inspect(CHAT, _ASK, 1 << 60)
    clock = count(1_000_000, 1000)

    def one() -> None:
        at_us = next(clock)
        exchange = Exchange(DECISION_ID, policies, surroundings)
        exchange.receive(RequestBody(at_us, _ASK, CHAT, "gateway/openai"))
        exchange.receive(Inspected(at_us + 1, inspection))
        exchange.receive(ResponseBody(at_us + 2, _ANSWER, True, head))
        exchange.receive(Ended(at_us + 3))

    return least_us(one)


def parts_us(policy: Policy) -> dict[str, float]:
    """Return what the parts of a ruling take."""
    surroundings, compiled = around(), Compiled(policy)
    facts = Facts("default", "ada", "", "gpt-4o", "openai", "/v1/chat/completions", "gateway", "api.test")
    inspection = Pipeline(lambda: 0, Ruleset((), "none")).inspect(CHAT, _ASK, 1 << 60)
    received = Received(CHAT, _ASK, inspection, ("gateway", "openai"), 1)
    return {
        "what of the policy holds": least_us(lambda: compiled.of(facts)),
        "who asks": least_us(lambda: surroundings.identifier.identify(CHAT)),
        "the ruling, both included": least_us(lambda: ruled(received, compiled, surroundings)),
    }


def main() -> None:
    """Print the numbers."""
    for name, policy in (("a policy that says nothing", Policy()), ("30 overrides, 30 exceptions, 30 budgets", many())):
        print(f"{name}: an exchange {exchange_us(policy):.1f} us")
        for part, took in parts_us(policy).items():
            print(f"    {part}: {took:.2f} us")


if __name__ == "__main__":
    main()
