"""Calls that end before their answer, and health: its Watch is the one call that never ends by itself."""

from typing import Any, Iterator

import grpc
from grpc_health.v1 import health_pb2 as health

from gatehouse.v1 import auth_service_pb2 as auth
from service import Service, refusal


def serving(answer: health.HealthCheckResponse) -> str:
    return health.HealthCheckResponse.ServingStatus.Name(answer.status)


def check(service: Service, name: str = "") -> health.HealthCheckResponse:
    return service.health.Check(health.HealthCheckRequest(service=name))


def end(stream: Iterator[Any]) -> str:
    """The code that a stream ends with."""
    return refusal(lambda: list(stream))["code"]


def deadline(service: Service) -> Any:
    request = auth.VerifyRequest(token="gate_junk")
    unary = refusal(lambda: service.auth.Verify(request, metadata=service.root, timeout=0.000001))
    # The connection is there before the time runs.
    check(service)
    stream = service.health.Watch(health.HealthCheckRequest(), timeout=1)
    return {"unary": unary["code"], "first": serving(next(stream)), "end": end(stream)}


def cancel(service: Service) -> Any:
    # The answer may be there sooner than the cancellation.
    for _ in range(20):
        unary = service.auth.Verify.future(auth.VerifyRequest(token="gate_junk"), metadata=service.root)
        unary.cancel()
        if unary.code() == grpc.StatusCode.CANCELLED:
            break
    stream = service.health.Watch(health.HealthCheckRequest())
    first = serving(next(stream))
    stream.cancel()
    return {
        "unary": unary.code().name,
        "first": first,
        "end": end(stream),
        "afterwards": serving(check(service)),
    }


def healthy(service: Service) -> Any:
    return {
        "whole": serving(check(service)),
        "keys": serving(check(service, "gatehouse.v1.KeyService")),
        "unknown": refusal(lambda: check(service, "nope"))["code"],
    }
