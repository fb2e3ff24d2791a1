"""What befalls a Verify, all of it over one connection."""

import time
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as health

from ends import serving
from gatehouse.v1 import auth_service_pb2 as auth
from service import Service, refusal


def edges(service: Service) -> Any:
    # Of a hash that takes milliseconds: such a call is under way when its client gives it up.
    slow = service.make("slow", keyspace="slow").secret
    wrong = [auth.VerifyRequest(token=f"{slow[:-4]}{letter}aaa") for letter in "abcdefghijklmnopqrst"]
    good = auth.VerifyRequest(token=service.make("good").secret)
    watching = service.health.Watch(health.HealthCheckRequest())
    first = serving(next(watching))

    def codes(calls: list[Any]) -> list[str]:
        found = {call.code().name for call in calls}
        # One may be answered, or refused because of too much Argon2id work, before it ends otherwise.
        return sorted(found - {"OK", "RESOURCE_EXHAUSTED"})

    given_up = [service.auth.Verify.future(one, metadata=service.root) for one in wrong]
    time.sleep(0.003)
    for call in given_up:
        call.cancel()
    late = [service.auth.Verify.future(one, metadata=service.root, timeout=0.003) for one in wrong]

    def noted(size: int) -> str:
        metadata = [*service.root, ("x-note", "n" * size)]
        return refusal(lambda: service.auth.Verify(good, metadata=metadata))["code"]

    out = {
        "cancelled": codes(given_up),
        "late": codes(late),
        "large": noted(14_000),
        "tooLarge": noted(40_000),
        "compressed": refusal(
            lambda: service.auth.Verify(good, metadata=service.root, compression=grpc.Compression.Gzip)
        )["code"],
        "watching": first,
    }
    calls = [service.auth.Verify.future(good, metadata=service.root) for _ in range(2048)]
    out["valid"] = sum(call.result().valid for call in calls)
    watching.cancel()
    return out
