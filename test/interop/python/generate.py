"""Generates the Python code of /proto into the folder that is named: `python generate.py FOLDER`."""

import sys
from pathlib import Path

import google.rpc.status_pb2
from grpc_tools import protoc

ROOT = Path(__file__).parents[3]
OUT = sys.argv[1]
# google/rpc/*.proto, as googleapis-common-protos brings them beside its own generated code.
PACKAGES = Path(google.rpc.status_pb2.__file__).parents[2]
WELL_KNOWN = Path(protoc.__file__).parent / "_proto"

OURS = sorted(str(file.relative_to(ROOT / "proto")) for file in (ROOT / "proto").rglob("*.proto"))

sys.exit(
    protoc.main(
        [
            "protoc",
            f"-I{ROOT / 'proto'}",
            f"-I{ROOT / 'third_party/protovalidate'}",
            f"-I{PACKAGES}",
            f"-I{WELL_KNOWN}",
            f"--python_out={OUT}",
            f"--grpc_python_out={OUT}",
            "buf/validate/validate.proto",
            *OURS,
        ]
    )
)
