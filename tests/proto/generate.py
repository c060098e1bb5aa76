"""Generates proto/gen from proto/: `python -m tests.proto.generate`, which is what `make proto` runs.

In: the .proto files. Out: Python modules, their types and their gRPC stubs. A test generates again and compares.
Never: runs in production; grpcio-tools is a development dependency.
"""

import shutil
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).parents[2] / "proto"
# Beside the generated modules too, so that it is part of the installed package.
SCHEMA = "douane/policy.schema.json"


def sources() -> list[str]:
    """Return every .proto of ours, relative to proto/, in order."""
    return sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("douane/**/*.proto"))


def generate(target: Path) -> None:
    """Write the generated modules into a folder.

    Raises: RuntimeError when protoc refuses a file; it says why on standard error.
    """
    (target / SCHEMA).parent.mkdir(parents=True, exist_ok=True)
    included = files("grpc_tools") / "_proto"
    outputs = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    shutil.copyfile(PROTO / SCHEMA, target / SCHEMA)
    status = protoc.main(["protoc", f"-I{PROTO}", f"-I{included}", *outputs, *sources()])
    if status != 0:
        raise RuntimeError(f"protoc ended with status {status}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO / "gen")
