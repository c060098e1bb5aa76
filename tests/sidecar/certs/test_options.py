"""The options of the commands around our authority."""

import argparse

import pytest

from sidecar.certs.options import add_commands


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        (["ca", "show"], "show"),
        (["ca", "export", "--format", "p12"], "export"),
        (["ca", "rotate"], "rotate"),
        (["env"], "env"),
    ],
)
def test_each_command_is_known_by_what_it_asks(line: list[str], asked: str) -> None:
    parser = argparse.ArgumentParser()
    assert len(list(add_commands(parser.add_subparsers(required=True)))) == 5
    assert parser.parse_args(line).ca == asked


def test_a_program_s_own_options_are_its_own() -> None:
    parser = argparse.ArgumentParser()
    list(add_commands(parser.add_subparsers(required=True)))
    assert parser.parse_args(["run", "--no-check", "--", "x", "--data", "y"]).command == ["--", "x", "--data", "y"]
