from analytics.access.refusals import AccessError


def test_a_refusal_says_what_why_and_where() -> None:
    error = AccessError("too_many", "too many tries", "password", 30)
    assert (str(error), error.kind, error.param, error.wait_s) == ("too many tries", "too_many", "password", 30)
    assert (AccessError("missing", "nobody").param, AccessError("missing", "nobody").wait_s) == (None, 0)
