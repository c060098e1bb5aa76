"""What to do about what was found.

settings.py: a policy's settings; scoped.py: what holds for some requests only; document.py: the text; match.py and compiled.py:
which of it holds for one request; exceptions.py: rules that are not to count; admission.py and decide.py: what is done.
schema.py: what a document may say.
"""

from sidecar.policy.compiled import Compiled, InForce, PolicySet
from sidecar.policy.decide import PLAIN, Bar, decide, on_failure, refusal_of, refuses_answer
from sidecar.policy.document import parse_policy, policy_version
from sidecar.policy.match import Facts
from sidecar.policy.settings import (
    Leaks,
    OnLeak,
    OnOutputLeak,
    OnResponse,
    OnThreat,
    OutputLeaks,
    Policy,
    SpoolFull,
    StreamUsage,
    UnknownHosts,
)

__all__ = [
    "PLAIN",
    "Bar",
    "Compiled",
    "Facts",
    "InForce",
    "Leaks",
    "OnLeak",
    "OnOutputLeak",
    "OnResponse",
    "OnThreat",
    "OutputLeaks",
    "Policy",
    "PolicySet",
    "SpoolFull",
    "StreamUsage",
    "UnknownHosts",
    "decide",
    "on_failure",
    "parse_policy",
    "policy_version",
    "refusal_of",
    "refuses_answer",
]
