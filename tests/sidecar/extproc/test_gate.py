"""The hold window: of whatever is found, no more than the budget has left, however the answer is split."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.extproc.gate import STEP, WINDOW, Gate, Hit, Look
from sidecar.pipeline import Pipeline
from sidecar.policy import Policy, refuses_answer
from sidecar.protocols.frames import Frame
from sidecar.protocols.reading import Seen
from sidecar.protocols.wire import Delta, Piece
from sidecar.types import Assessment, FailureKind, InspectionFailed, Segment, Surface, Unscanned, UnscannedReason
from tests.sidecar.values import ATTACK, WARNING, around

FILLER = "a calm sea lies under a wide grey sky, "
LONG = FILLER * 40


def look(segment: Segment) -> Assessment | InspectionFailed:
    pipeline: Pipeline = around().pipeline
    return pipeline.weigh(segment, 10**9, (), frozenset())


def gate(budget: int = 256, by: Look = look) -> Gate:
    return Gate(by, budget, lambda seen: refuses_answer(seen, Policy()))


def seen(text: str, channel: str = "content", surface: Surface = Surface.OUTPUT, *, whole: bool = False) -> Seen:
    return Seen(Frame(text.encode()), Delta((Piece(surface, text, channel, whole),)))


def left(made: Gate, items: Iterable[Seen]) -> str:
    """Return what leaves of an answer that comes frame by frame, its end included."""
    frames: list[Frame] = []
    for item in items:
        frames += made.take([item], over=False)
    return b"".join(frame.raw for frame in (*frames, *made.take([], over=True))).decode()


def pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 3, 40, 300, 5000])
@pytest.mark.parametrize("budget", [0, 256, 512])
def test_a_harmless_answer_leaves_whole_and_in_order(size: int, budget: int) -> None:
    assert left(gate(budget), (seen(piece) for piece in pieces(LONG, size))) == LONG


@pytest.mark.parametrize("budget", [0, 100, 256, 512])
@pytest.mark.parametrize("surface", [Surface.OUTPUT, Surface.REASONING, Surface.TOOL_CALL])
def test_an_attack_split_at_every_place_never_leaks_more_than_the_budget(budget: int, surface: Surface) -> None:
    text = LONG + ATTACK + LONG
    for shift in range(len(ATTACK) + 8):
        at = len(LONG) - 4 + shift
        made = gate(budget)
        out = left(made, [seen(piece, surface=surface) for piece in (*pieces(text[:at], 50), *pieces(text[at:], 50))])
        assert made.hit is not None
        leaked = out[len(LONG) :]
        assert len(leaked) <= budget
        assert made.hit.leaked == len(leaked)


@given(st.integers(0, 512), st.integers(0, 700), st.lists(st.integers(0, 2000), max_size=40), st.integers(0, 1500))
def test_what_spreads_over_the_answer_never_leaks_more_than_the_budget(
    budget: int, spread: int, cuts: list[int], before: int
) -> None:
    """Two warnings deny together when they are near enough: an attack as long as one likes."""
    text = "x " * (before // 2) + WARNING + " " + "y " * (spread // 2) + ATTACK + " z" * 300
    start = text.index(WARNING)
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    made = gate(budget)
    out = left(made, [seen(text[a:b]) for a, b in pairwise(places)])
    assert made.hit is not None
    assert text.startswith(out)
    assert made.hit.leaked <= budget
    assert ATTACK not in out
    if spread + len(WARNING) < WINDOW - budget:
        assert len(out) - start <= budget


def test_what_is_not_held_leaves_as_soon_as_it_was_looked_at() -> None:
    made = gate(512)
    assert made.take([seen("a" * (STEP - 1))], over=False) == []
    assert len(made.take([seen("b")], over=False)) == 2


def test_frames_that_say_nothing_keep_their_place() -> None:
    made = gate()
    ping = Seen(Frame(b": ping\n\n"))
    assert made.take([ping], over=False) == [ping.frame]
    assert made.take([seen("words"), ping], over=False) == []
    assert [frame.raw for frame in made.take([], over=True)] == [b"words", b": ping\n\n"]


def test_reasoning_does_not_hold_up_the_answer_behind_it() -> None:
    made = gate()
    made.take([seen("thinking", "reasoning", Surface.REASONING)], over=False)
    out = [frame.raw for text in pieces(LONG, 40) for frame in made.take([seen(text)], over=False)]
    assert out[0] == b"thinking"
    assert len(b"".join(out)) > len(LONG) - WINDOW - STEP


def test_a_text_that_pauses_is_judged_as_it_stands() -> None:
    made = gate()
    made.take([seen(ATTACK, "call", Surface.TOOL_CALL)], over=False)
    for text in pieces(LONG, 40):
        made.take([seen(text)], over=False)
    assert made.hit is not None
    assert made.hit.leaked == 0


def test_two_texts_are_not_read_as_one() -> None:
    half = len(ATTACK) // 2
    assert left(gate(), [seen(ATTACK[:half], "a"), seen(ATTACK[half:], "b")]) == ATTACK


def test_a_text_said_again_is_not_judged_again_but_another_is() -> None:
    looks: list[str] = []

    def counting(segment: Segment) -> Assessment | InspectionFailed:
        looks.append(segment.text)
        return look(segment)

    made = gate(by=counting)
    made.take([seen("harmless"), seen("harmless", whole=True)], over=True)
    assert looks == ["harmless"]
    made.take([seen("another", whole=True)] * 3, over=True)
    assert looks == ["harmless", "another"]
    made.take([seen(ATTACK, whole=True)], over=True)
    assert made.hit is not None


def test_words_that_the_format_does_not_know_are_judged_too() -> None:
    made = gate()
    assert made.take([Seen(Frame(b"data: ATTACK\n\n", ATTACK.encode()))], over=True) == []
    assert made.hit is not None


def test_a_frame_that_nobody_read_ends_the_answer() -> None:
    made = gate()
    made.take([Seen(Frame(b"x", lost=True))], over=False)
    assert made.hit is not None
    assert made.hit.failure is not None


def test_what_is_no_text_ends_the_answer_only_where_the_policy_denies_it() -> None:
    picture = Seen(Frame(b"x"), Delta(unscanned=(Unscanned(UnscannedReason.BINARY, 9),)))
    mild, strict = gate(), Gate(look, 256, lambda seen: refuses_answer(seen, Policy()), strict=True)
    assert [frame.raw for frame in mild.take([picture], over=True)] == [b"x"]
    assert strict.take([picture], over=True) == []
    assert (mild.hit, strict.hit) == (None, Hit(Assessment(), unread=True))


def test_a_look_that_fails_ends_the_answer() -> None:
    made = gate(by=lambda _segment: InspectionFailed(FailureKind.DEADLINE))
    assert made.take([seen("a" * STEP)], over=False) == []
    assert made.hit is not None
    assert made.hit.failure == InspectionFailed(FailureKind.DEADLINE)
