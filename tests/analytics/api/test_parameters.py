import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.access.principal import Principal
from analytics.api.errors import ApiError
from analytics.api.parameters import decode_cursor, encode_cursor, scope

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=50)


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.lists(TEXTS, max_size=3))
def test_a_cursor_comes_back_as_it_was(value: int, key: list[str]) -> None:
    assert decode_cursor(encode_cursor("cost", value, *key), "cost", len(key)) == (value, tuple(key))


@pytest.mark.parametrize(
    ("parts", "sort", "keys"),
    [
        (("cost", 1, "a"), "requests", 1),
        (("cost", 1, "a"), "cost", 2),
        (("cost", 1.5, "a"), "cost", 1),
        (("cost", True, "a"), "cost", 1),
        (("cost", 2**63, "a"), "cost", 1),
        (("cost", 1, "\x00"), "cost", 1),
        (("cost",), "cost", 0),
    ],
)
def test_a_cursor_of_another_list_is_refused(parts: tuple[object, ...], sort: str, keys: int) -> None:
    with pytest.raises(ApiError) as caught:
        decode_cursor(encode_cursor(*parts), sort, keys)
    assert (caught.value.status, caught.value.param) == (422, "cursor")


@given(st.text("ABCdef019_-", min_size=1, max_size=40))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ApiError):
        decode_cursor(text, "cost", 1)


def test_whose_rows_are_read() -> None:
    everybody, shop = Principal("a", "admin"), Principal("v", "viewer", "shop")
    assert [scope(everybody, None), scope(everybody, "bank"), scope(shop, None), scope(shop, "shop")] == [
        *(None, "bank", "shop", "shop")
    ]
    with pytest.raises(ApiError) as caught:
        scope(shop, "bank")
    assert (caught.value.status, caught.value.param) == (403, "tenant")
