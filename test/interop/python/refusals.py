"""Calls that are refused, with what the details tell."""

from typing import Any

import grpc

from gatehouse.v1 import auth_service_pb2 as auth
from gatehouse.v1 import key_service_pb2 as keys
from bulk import BATCH
from service import Service, bearer, refusal


def refusals(service: Service) -> Any:
    def create(metadata: Any = service.root, **fields: Any) -> dict[str, Any]:
        return refusal(lambda: service.keys.CreateKey(keys.CreateKeyRequest(**fields), metadata=metadata))

    return {
        "invalid": create(keyspace="default", name="", permissions=["docs:read", "a b"]),
        "unknownKeyspace": create(keyspace="nowhere", name="x"),
        "noKey": create(metadata=None, keyspace="default", name="x"),
        "wrongKey": create(metadata=bearer("ghm_wrong"), keyspace="default", name="x"),
    }


def too_large(service: Service) -> Any:
    def verify(token: str, compression: grpc.Compression) -> dict[str, Any]:
        request = auth.VerifyRequest(token=token)
        return refusal(
            lambda: service.auth.Verify(request, metadata=service.root, compression=compression)
        )

    def batch(length: int) -> dict[str, Any]:
        request = auth.VerifyBatchRequest(requests=[auth.VerifyRequest(token="x" * length)] * BATCH)
        return refusal(lambda: service.auth.VerifyBatch(request, metadata=service.root))

    return {
        "verify": verify("x" * 70_000, grpc.Compression.NoCompression),
        "unpacked": verify("x" * 70_000, grpc.Compression.Gzip),
        "batch": batch(11_000),
        # As many tokens of the most that one may have are less than the batch's bound.
        "largestTokens": batch(8192)["code"],
    }


def busy(service: Service) -> Any:
    """Has the service hash more tokens at once than it takes on: all are found by the start of one Argon2id key."""
    secret = service.make("busy", keyspace="slow").secret
    tokens = [f"{secret[:-4]}{n:04}" for n in range(64)]
    calls = [
        service.auth.Verify.future(auth.VerifyRequest(token=token), metadata=service.root) for token in tokens
    ]
    return [refusal(call.result) for call in calls]
