"""The generated code is what its sources say."""

from pathlib import Path

from tests.proto.generate import PROTO, SCHEMAS, generate, write_schema

# Written empty by grpcio-tools for a file without services; kept, so that a service added later is a changed line.
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def contents(folder: Path) -> dict[str, str]:
    found = (path for pattern in GENERATED for path in folder.rglob(pattern))
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in found}


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    """Run `make proto` and commit the result when this fails."""
    generate(tmp_path)
    assert contents(tmp_path) == contents(PROTO / "gen")


def test_nothing_else_lies_in_the_generated_folder() -> None:
    every = {str(path.relative_to(PROTO / "gen")) for path in (PROTO / "gen").rglob("*.py*") if path.suffix != ".pyc"}
    assert every == set(contents(PROTO / "gen"))


def test_the_policy_s_schema_is_fresh(tmp_path: Path) -> None:
    """Run `make proto` and commit the result when this fails."""
    write_schema(tmp_path / "schema.json")
    assert {path.read_text(encoding="utf-8") for path in SCHEMAS} == {
        (tmp_path / "schema.json").read_text(encoding="utf-8")
    }
