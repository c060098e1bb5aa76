"""Data that the words around it give away: the value is the span, without its words."""

import pytest

from sidecar.detectors.personal import TOLD, compiled, values
from sidecar.detectors.secrets import options

PATTERNS = {told.id: compiled(told, options(8 << 20)) for told in TOLD}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("pii.passport", "Passport No: X1234567 issued", "X1234567"),
        ("pii.driving_licence", "driving licence MORGA657054SM9IJ", "MORGA657054SM9IJ"),
        ("pii.date_of_birth", "date of birth is 3 March 1990.", "3 March 1990"),
        ("pii.date_of_birth", '"dob": "1990-03-03"', "1990-03-03"),
        ("pii.address", "I live at 10 Baker Street, London NW1 6XE now", "10 Baker Street, London NW1 6XE"),
        ("pii.address", "habite 4 rue de la Paix, 75002 Paris depuis", "4 rue de la Paix, 75002 Paris"),
    ],
)
def test_the_value_stands_alone(kind: str, text: str, value: str) -> None:
    data = text.encode("latin-1")
    assert [text[start:end] for start, end in values(PATTERNS[kind], data)] == [value]


def test_weights_do_not_alert() -> None:
    assert all(0 < told.weight < 5 for told in TOLD)
