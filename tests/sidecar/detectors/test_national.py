"""Numbers of states: the checksum decides, the words near it make sure."""

import subprocess
import sys

import pytest

from sidecar.detectors.national import ALONE, IDS, holds, read


def kind(number: str, near: str = "") -> tuple[str, float] | None:
    found = read(number, near.encode("latin-1"))
    return (found[0].id, found[1]) if found else None


def test_a_form_of_its_own_counts_alone_and_more_beside_its_word() -> None:
    assert kind("219-09-9998") == ("pii.us_ssn", ALONE)
    assert kind("219-09-9998", "my SSN is") == ("pii.us_ssn", 1.0)


def test_bare_digits_need_their_word() -> None:
    assert kind("111222333") is None
    assert kind("111222333", "BSN") == ("pii.nl_bsn", 1.0)
    assert kind("111222334", "BSN") is None


@pytest.mark.parametrize(
    ("module", "good", "bad"),
    [
        ("medicare", "2123 45670 1", "2123 45680 1"),
        ("icao", "L01X00T471", "L01X00T472"),
        ("nino", "JG103759A", "GB103759A"),
    ],
)
def test_our_own_checks(module: str, good: str, bad: str) -> None:
    one = next(one for one in IDS if one.module == module)
    assert (holds(one, good), holds(one, bad)) == (True, False)


def test_checksums_are_loaded_when_needed() -> None:
    """python-stdnum has 300 modules; a worker's memory is for texts."""
    code = "import sys, sidecar.detectors; print(sorted(m for m in sys.modules if m.startswith('stdnum.')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
