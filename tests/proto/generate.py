"""Generates proto/gen from proto/, and the policy's schema: `python -m tests.proto.generate`, which is what `make proto` runs.

In: the .proto files, the sidecar's settings of a policy. Out: Python modules, their types and their gRPC stubs;
policy.schema.json beside the .proto files, and a copy in the generated package, from where analytics reads it. Tests compare.
Never: runs in production; grpcio-tools is a development dependency.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

from sidecar.policy.schema import policy_schema

PROTO = Path(__file__).parents[2] / "proto"


def sources() -> list[str]:
    """Return every .proto of ours, relative to proto/, in order."""
    return sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("douane/**/*.proto"))


def generate(target: Path) -> None:
    """Write the generated modules into a folder.

    Raises: RuntimeError when protoc refuses a file; it says why on standard error.
    """
    target.mkdir(parents=True, exist_ok=True)
    included = files("grpc_tools") / "_proto"
    outputs = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    status = protoc.main(["protoc", f"-I{PROTO}", f"-I{included}", *outputs, *sources()])
    if status != 0:
        raise RuntimeError(f"protoc ended with status {status}")


def write_schema(*targets: Path) -> None:
    """Write the policy's schema into files."""
    text = json.dumps(policy_schema(), indent=1, ensure_ascii=False) + "\n"
    for target in targets:
        target.write_text(text, encoding="utf-8")


SCHEMAS = (PROTO / "douane/policy.schema.json", PROTO / "gen/douane/policy.schema.json")

if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO / "gen")
    if len(sys.argv) == 1:
        write_schema(*SCHEMAS)
