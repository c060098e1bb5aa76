"""Words, and runs of them."""

from sidecar.detectors.words import places, runs, shingles, words


def test_words_have_one_case_and_their_places() -> None:
    text = "Don't PANIC, Straße_2 日本"
    listed, spans = places(text)
    assert listed == ["don", "t", "panic", "strasse", "2", "日", "本"]
    assert words(text) == listed
    assert [text[a:b] for a, b in spans] == ["Don", "t", "PANIC", "Straße", "2", "日", "本"]


def test_runs_are_the_same_wherever_they_stand() -> None:
    listed = words("a b c d e f")
    assert list(runs(listed, 2))[1:3] == list(runs(words("b c d"), 2))
    assert list(runs(listed, 2, 2)) == list(runs(listed, 2))[::2]
    assert list(runs(listed, 7)) == []


def test_shingles_stop_at_their_limit() -> None:
    assert shingles(["a b c", "d e f"], 2, 100) == {*runs(["a", "b", "c"], 2), *runs(["d", "e", "f"], 2)}
    assert shingles(["a b c", "d e f"], 2, 5) == set(runs(["a", "b", "c"], 2))
