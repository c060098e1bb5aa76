"""OpenAI's errors, as its SDK reads them."""

import json

from sidecar.protocols import openai_errors
from sidecar.protocols.wire import Refused

REFUSED = Refused(403, "permission_denied", "douane_denied", "Douane: no", {"decision_id": "d-1", "threats": []})


def test_a_refusal_has_the_fields_of_every_openai_error_and_ours() -> None:
    assert openai_errors.refusal(REFUSED) == {
        "error": {
            "message": "Douane: no",
            "type": "permission_denied",
            "param": None,
            "code": "douane_denied",
            "decision_id": "d-1",
            "threats": [],
        }
    }


def test_a_stream_ends_with_an_error_and_its_usual_end() -> None:
    error, end = openai_errors.stream_refusal(REFUSED)
    assert json.loads(error.data)["error"]["code"] == "douane_denied"
    assert end.data == b"[DONE]"
