"""The life of a key."""

from typing import Any

import grpc
from google.protobuf import duration_pb2

from gatehouse.v1 import auth_service_pb2 as auth
from gatehouse.v1 import key_pb2, key_service_pb2, owner_pb2
from service import Service


def life(service: Service) -> Any:
    made = service.make(
        "größe ✓",
        owner=owner_pb2.Owner(kind="user", id="alice"),
        project="blue",
        permissions=["docs:*"],
        metadata={"plan": "free"},
        ttl=duration_pb2.Duration(seconds=3600),
    )

    def verify(compression: grpc.Compression | None = None, **fields: Any) -> auth.VerifyResponse:
        request = auth.VerifyRequest(token=made.secret, **fields)
        return service.auth.Verify(request, metadata=service.root, compression=compression)

    good = verify(permissions=["docs:read"])
    lacking = verify(permissions=["docs:read", "mail:read"])
    # Differs from one without a project only in that the empty field is there.
    no_project = verify(project="")
    compressed = verify(compression=grpc.Compression.Gzip)
    revoked = service.keys.RevokeKey(
        key_service_pb2.RevokeKeyRequest(id=made.key.id, reason="no longer used"), metadata=service.root
    )
    after = verify()
    return {
        "made": {
            "id": made.key.id,
            "name": made.key.name,
            "secret": made.secret,
            "seconds": made.key.expire_time.seconds - made.key.create_time.seconds,
        },
        "good": {
            "valid": good.valid,
            "status": auth.VerifyStatus.Name(good.status),
            "keyId": good.principal.key_id,
            "owner": f"{good.principal.owner.kind}:{good.principal.owner.id}",
            "permissions": list(good.principal.permissions),
            "metadata": dict(good.principal.metadata),
        },
        "lacking": [auth.VerifyStatus.Name(lacking.status), *lacking.missing_permissions],
        "noProject": auth.VerifyStatus.Name(no_project.status),
        "compressed": auth.VerifyStatus.Name(compressed.status),
        "revoked": [key_pb2.KeyState.Name(revoked.key.state), revoked.key.revoke_reason],
        "after": {"valid": after.valid, "status": auth.VerifyStatus.Name(after.status)},
    }
