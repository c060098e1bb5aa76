"""Assignments: what is given to a name that speaks of a password or key, in every notation people use."""

import pytest

from sidecar.detectors.assignments import assignments, is_secret

KEY = "q7Zr82xVmK03LpTd9sWbYcHfNg4EuA"


def read(text: str) -> list[tuple[str, str]]:
    return [(found.value, is_secret(found)) for found in assignments(text.encode("latin-1", "replace"), 2000)]


@pytest.mark.parametrize(
    "text",
    [
        "DB_PASSWORD=Gv7!mop92",
        '{"password": "Gv7!mop92"}',
        '{\\"password\\": \\"Gv7!mop92\\"}',
        "password: Gv7!mop92",
        "<password>Gv7!mop92</password>",
        "mysql --password Gv7!mop92 shop",
        "the password is Gv7!mop92.",
        "please set my password to Gv7!mop92",
        "mon mot de passe c'est Gv7!mop92",
        "Le mot de passe est : Gv7!mop92",
        "Das Passwort lautet Gv7!mop92",
        "la contraseña es Gv7!mop92",
        "- name: DB_PASSWORD\n  value: Gv7!mop92",
    ],
)
def test_passwords_are_read_in_every_notation(text: str) -> None:
    assert read(text) == [("Gv7!mop92", "password")]


@pytest.mark.parametrize(
    "text", [f"api_key = '{KEY}'", f"client-secret: {KEY}", f"X-Api-Key: {KEY}", f"export TOKEN={KEY}"]
)
def test_keys_are_read_in_every_notation(text: str) -> None:
    assert read(text) == [(KEY, "assigned_key")]


@pytest.mark.parametrize(
    "text",
    [
        f"next_page_token: {KEY}",
        f"password_hash = '{KEY}'",
        "password = os.environ['DB_PASSWORD']",
        "password = get_password(user1)",
        "password: string",
        "the password is required",
        "token = tokens[12].value_of_token",
        "max_tokens: 100000",
        "api_key = 'https://docs.example.com/keys1'",
        "secret: kubernetes-secret-name-of-app",
        "access_token = response.json()",
    ],
)
def test_code_and_prose_are_no_secrets(text: str) -> None:
    assert [value for value, kind in read(text) if kind] == []
