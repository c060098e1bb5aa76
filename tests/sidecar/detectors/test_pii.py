"""Personal data: the value is the span, a request with any amount of it does not alert, look-alikes stay."""

import pytest

from sidecar.detectors import scan_segment
from sidecar.detectors.pii import RULES, PiiDetector
from sidecar.scoring import assess
from sidecar.types import Segment, Surface, View

ROW = "Ada Byron, ada.byron{0}@poczta.net, +44 20 7946 0{0}, 219-09-9{0}\n"


def found(text: str) -> list[tuple[str, str]]:
    spans = [
        (one.rule_id, one.span)
        for one in PiiDetector("pii").detect(View("as_sent", text, range(len(text)), Surface.USER))
    ]
    return [(rule, text[span.start : span.end]) for rule, span in spans]


def score(text: str, surface: Surface) -> float:
    segment = Segment(text, surface)
    return assess((segment, one) for one in scan_segment(segment) if one.rule_id.startswith("pii.")).score


def test_only_the_value_is_the_span() -> None:
    text = "日本 Kim: kim@corp.se, +46 8 123 456 78, IBAN SE45 5000 0000 0583 9825 7466."
    assert found(text) == [
        ("pii.email", "kim@corp.se"),
        ("pii.phone", "+46 8 123 456 78"),
        ("pii.iban", "SE45 5000 0000 0583 9825 7466"),
    ]


def test_a_list_of_people_alerts_in_an_answer_only() -> None:
    rows = "".join(ROW.format(100 + n) for n in range(30))
    assert score(rows, Surface.USER) < 5
    assert score(rows, Surface.TOOL_RESULT) < 5
    assert score(rows, Surface.OUTPUT) >= 5
    assert score(ROW.format(100), Surface.OUTPUT) < 5


@pytest.mark.parametrize(
    "text",
    [
        "timestamp 1763856837123 and 20261123T021357",
        "order 4539148803436468, tracking 1Z999AA10123456784",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "pi is 3.14159265358979, e is 2.718281828459045",
        "population 1 425 775 850, GDP $17,963,171,000,000",
        "ISBN 978-3-16-148410-0",
        "127.0.0.1:8080, 192.168.1.1, v1.2.3.4",
        "lat 48.8583701, lon 2.2922926",
        "2019-03-12 10:20:30.123456",
    ],
)
def test_look_alikes_stay(text: str) -> None:
    assert found(text) == []


def test_values_are_found_across_windows() -> None:
    for offset in range(2030, 2330, 13):
        text = "x " * (offset // 2) + "card 4539 1488 0343 6467" + " y" * 1500
        assert found(text) == [("pii.payment_card", "4539 1488 0343 6467")]


def test_weights_do_not_alert_and_ids_are_unique() -> None:
    assert all(0 < kind.weight < 5 for kind in RULES)
    assert len({kind.id for kind in RULES}) == len(RULES) > 40
