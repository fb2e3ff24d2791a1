"""A channel to the service with its stubs, and errors as the tests want them told."""

from typing import Any, Callable

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from gatehouse.v1 import auth_service_pb2_grpc, key_service_pb2, key_service_pb2_grpc


class Service:
    def __init__(self, address: str, root_key: str, options: list[tuple[str, int]] | None = None):
        # Another connection.
        self.again = lambda more: Service(address, root_key, more)
        channel = grpc.insecure_channel(address, options)
        self.auth = auth_service_pb2_grpc.AuthServiceStub(channel)
        self.keys = key_service_pb2_grpc.KeyServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)
        self.root = bearer(root_key)

    def make(self, name: str, keyspace: str = "default", **fields: Any) -> key_service_pb2.CreateKeyResponse:
        request = key_service_pb2.CreateKeyRequest(keyspace=keyspace, name=name, **fields)
        return self.keys.CreateKey(request, metadata=self.root)


def bearer(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}")]


def refusal(call: Callable[[], Any]) -> dict[str, Any]:
    """How a call ended, as the tests want it told."""
    try:
        call()
    except grpc.RpcError as error:
        # Without details where the client gave up by itself: the service has sent no status then.
        status = rpc_status.from_call(error)
        return told(status) if status else {"code": error.code().name, "fields": []}
    return {"code": "OK", "fields": []}


def told(status: status_pb2.Status) -> dict[str, Any]:
    """An error with its details."""
    out: dict[str, Any] = {"code": code_pb2.Code.Name(status.code), "fields": []}
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            out |= {"reason": info.reason, "domain": info.domain}
        elif detail.Unpack(bad):
            out["fields"] = [violation.field for violation in bad.field_violations]
        elif detail.Unpack(retry):
            out["retryMs"] = retry.retry_delay.ToMilliseconds()
        else:
            out["unknown"] = detail.type_url
    return out
