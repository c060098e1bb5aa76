"""POST /api/decisions/{id}/verdict and /api/feedback: what analysts and users say about a decision.

In: a verdict of an analyst (true or false positive), a rating of a user. Out: what is held now. Each is written with its
audit row in one transaction; a verdict is added to the decision's history, a rating replaces the same author's last one.
Never: a change of the record; an opinion on another tenant's decision (404, as if there were none).
"""

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection

from analytics.access.principal import Principal
from analytics.api.auth import Analyst, Viewer
from analytics.api.context import Use
from analytics.api.errors import ApiError, responses
from analytics.api.parameters import DecisionId, Name, Note, moment
from analytics.store import audit, database, feedback, records, verdicts
from analytics.types import DecisionRow

router = APIRouter(tags=["decisions"])

Word = Literal["true_positive", "false_positive", "unclear"]
RULES_DESCRIPTION = "The rules it is about, of those that fired."


class VerdictIn(BaseModel):
    """An analyst's verdict."""

    model_config = ConfigDict(extra="forbid")

    verdict: Word = Field(
        description="true_positive: the threat was real. false_positive: it was none. unclear takes a verdict back.",
        examples=["false_positive"],
    )
    rules: list[Name] | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description=f"{RULES_DESCRIPTION} All of them when left out.",
        examples=[["prompt_injection.ignore_instructions"]],
    )
    note: Note = Field(default="", description="Why, for the next reader.", examples=["Quoted in a security lesson."])


class VerdictBody(BaseModel):
    """A verdict as it is held."""

    model_config = ConfigDict(from_attributes=True)

    decision_id: str = Field(description="The decision.", examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"])
    number: int = Field(description="Counts the decision's verdicts from 1.", examples=[1])
    verdict: Word = Field(description="What was said.", examples=["false_positive"])
    rules: list[str] = Field(description=RULES_DESCRIPTION, examples=[["prompt_injection.ignore_instructions"]])
    note: str = Field(description="Why.", examples=["Quoted in a security lesson."])
    author: str = Field(description="Who said it.", examples=["nadia"])
    made_at: datetime = Field(description="When it was said.", examples=["2026-11-18T12:00:00Z"])


class FeedbackIn(BaseModel):
    """A user's rating of an exchange: `rating` or `thumb`, one of the two."""

    model_config = ConfigDict(extra="forbid")

    decision_id: DecisionId = Field(
        description="The exchange that is rated.",
        examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"],
    )
    rating: Annotated[int, Field(ge=1, le=5)] | None = Field(
        default=None, description="From 1, bad, to 5, good.", examples=[4]
    )
    thumb: Literal["up", "down"] | None = Field(default=None, description="Instead of a rating.", examples=[None])
    comment: Note = Field(default="", description="What the user had to say.", examples=["Answered at once."])
    author: Name | None = Field(
        default=None,
        min_length=1,
        description="Who rates, where a program speaks for its users; the one who asks when left out.",
        examples=["alice"],
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.rating is None) == (self.thumb is None):
            raise ValueError("give either rating or thumb")
        return self


class FeedbackBody(BaseModel):
    """A rating as it is held."""

    model_config = ConfigDict(from_attributes=True)

    decision_id: str = Field(description="The exchange.", examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"])
    author: str = Field(description="Who rated.", examples=["alice"])
    rating: int | None = Field(description="From 1, bad, to 5, good; null with a thumb.", examples=[4])
    thumb: Literal["up", "down"] | None = Field(description="Null with a rating.", examples=[None])
    comment: str = Field(description="What the user had to say.", examples=["Answered at once."])
    made_at: datetime = Field(description="When it was given.", examples=["2026-11-18T12:00:00Z"])


class FeedbackReceipt(FeedbackBody):
    """What became of a rating."""

    replaced: bool = Field(
        description="Whether it stands in the place of the same author's last one.", examples=[False]
    )


@router.post(
    "/api/decisions/{decision_id}/verdict",
    summary="Judge a decision",
    status_code=201,
    responses=responses(401, 403, 404, 409, 422, 503),
)
def judge(
    context: Use,
    who: Analyst,
    decision_id: Annotated[
        DecisionId, Path(description="The decision.", examples=["0199d1c2a4b07c3e8f2a6b1d4e5f6071"])
    ],
    given: VerdictIn,
) -> VerdictBody:
    """Say whether what was found in a decision was a threat. Counts for the precision of its rules; undone by another verdict."""
    now_us = round(context.clock() * 1e6)
    with database.writing(context.engine) as connection:
        row = _decision(connection, who, decision_id)
        opinion = verdicts.Opinion(given.verdict, _rules(row, given.rules), given.note, who.name, now_us)
        before = verdicts.newest(connection, [decision_id]).get(decision_id)
        made = verdicts.add(connection, row, opinion)
        said = {"verdict": made.verdict, "rules": list(made.rules), "note": made.note}
        entry = audit.Entry(now_us, who.name, "decision.verdict", decision_id, row.tenant, {"verdict": before}, said)
        audit.add(connection, entry)
    return verdict_body(made)


@router.post(
    "/api/feedback",
    summary="Rate an exchange",
    responses=responses(401, 403, 404, 422, 503),
)
def give_feedback(context: Use, who: Viewer, given: FeedbackIn) -> FeedbackReceipt:
    """Say how content a user was with an answer. The same author's next rating of the exchange replaces this one."""
    now_us = round(context.clock() * 1e6)
    author = given.author or who.name
    rating = feedback.Feedback(given.decision_id, author, given.rating, given.thumb, given.comment, now_us)
    with database.writing(context.engine) as connection:
        row = _decision(connection, who, given.decision_id)
        before = feedback.put(connection, row, rating)
        if before is None or _said(before) != _said(rating):
            held = None if before is None else _said(before)
            entry = audit.Entry(now_us, who.name, "feedback.give", row.decision_id, row.tenant, held, _said(rating))
            audit.add(connection, entry)
    return FeedbackReceipt(**feedback_body(rating).model_dump(), replaced=before is not None)


def _decision(connection: Connection, who: Principal, decision_id: str) -> DecisionRow:
    row = records.read(connection, [decision_id]).get(decision_id)
    if row is None or not who.sees(row.tenant):
        raise ApiError(404, "no decision has this id", "decision_id")
    return row


def _rules(row: DecisionRow, named: list[str] | None) -> tuple[str, ...]:
    fired = tuple(dict.fromkeys(threat.rule_id for threat in row.threats))
    if not fired:
        raise ApiError(409, "nothing was found in this decision, so there is nothing to judge")
    if named is None:
        return fired
    for rule in named:
        if rule not in fired:
            raise ApiError(422, "rules: only rules that fired in this decision can be judged", "rules")
    return tuple(dict.fromkeys(named))


def _said(given: feedback.Feedback) -> dict[str, str | int | None]:
    return {"author": given.author, "rating": given.rating, "thumb": given.thumb, "comment": given.comment}


def verdict_body(held: verdicts.Verdict) -> VerdictBody:
    """Return a verdict as answers show it."""
    return VerdictBody(
        decision_id=held.decision_id,
        number=held.number,
        verdict=held.verdict,  # type: ignore[arg-type] # one of the words: nothing else is stored
        rules=list(held.rules),
        note=held.note,
        author=held.author,
        made_at=moment(held.made_unix_us / 1e6),
    )


def feedback_body(held: feedback.Feedback) -> FeedbackBody:
    """Return a rating as answers show it."""
    return FeedbackBody(
        decision_id=held.decision_id,
        author=held.author,
        rating=held.rating,
        thumb=held.thumb,  # type: ignore[arg-type] # up or down: nothing else is stored
        comment=held.comment,
        made_at=moment(held.made_unix_us / 1e6),
    )
