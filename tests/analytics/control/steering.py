"""What tests of the control channel share: records of users with scores, policies in force, books with their ledgers."""

from collections.abc import Callable
from typing import Any

from douane.v1 import decision_pb2 as pb
from sqlalchemy import Engine

from analytics.control import policies as documents
from analytics.control.ledgers import BudgetLedger, RiskLedger
from analytics.control.rules import RulesInForce
from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.store import database, policies
from analytics.types import DecisionRow
from analytics.types.control import Activation, PolicyVersion, RiskRule
from tests.analytics.traffic import BEGAN_UNIX_US, record, threats

HOUR_US = 3_600_000_000
RULE = RiskRule()


def row(number: int, score: float = 0.0, *, at_us: int = 0, user: str = "alice", **fields: Any) -> DecisionRow:
    """Return a record of a user, started at_us after BEGAN; its score comes from one threat, unless others are given."""
    identity = {"user": user, "tenant": fields.pop("tenant", "default"), "team": fields.pop("team", "")}
    if score and "threats" not in fields:
        fields["threats"] = threats(["jailbreak"])
        fields["threats"][0].score = score
    fields.setdefault("messages", 1)
    timings = {"started_unix_us": BEGAN_UNIX_US + at_us, "verdict_us": 700, "total_us": 200_000}
    return decode(record(number * 10, score=score, identity=identity, timings=timings, **fields))


def verdict(number: int, score: float, **fields: Any) -> DecisionRow:
    """Return the first word on a record: its exchange is still going on."""
    return row(number, score, stage=pb.STAGE_VERDICT, **fields)


def activate(engine: Engine, text: str, tenant: str = "default", at_unix_us: int = BEGAN_UNIX_US) -> PolicyVersion:
    """Store a policy and put it in force."""
    document = documents.read_yaml(text)
    documents.check(document)
    with database.writing(engine) as connection:
        head = policies.head(connection, tenant)
        number = 1 if head is None else head.latest + 1
        version = PolicyVersion(tenant, number, documents.digest(text), text, document, "a note", "test", at_unix_us)
        policies.add(connection, version)
        policies.activate(connection, Activation(tenant, 0, "activate", number, "test", "", at_unix_us))
    return version


def withdraw(engine: Engine, tenant: str = "default") -> None:
    """Take a tenant's policy out of force."""
    with database.writing(engine) as connection:
        policies.activate(connection, Activation(tenant, 0, "withdraw", None, "test", "", BEGAN_UNIX_US))


def books(engine: Engine, clock: Callable[[], float], default: RiskRule = RULE) -> Books:
    """Return books with the ledgers of user risk and budgets."""
    rules = RulesInForce(default)
    return Books(engine, (RiskLedger(rules, clock), BudgetLedger(rules)))
