"""Ends of a VerifyStream that are not its client's half-close, and unary calls that are given up by the hundred."""

import time
from collections import Counter
from typing import Any

from gatehouse.v1 import auth_service_pb2 as auth
from gatehouse.v1 import key_service_pb2
from service import Service, bearer
from streams import Stream

# Calls that are cancelled on one connection: fewer than the service takes for a flood.
RESETS = 300


def good(service: Service) -> auth.VerifyRequest:
    return auth.VerifyRequest(token=service.make("good").secret)


def cancelled(service: Service) -> Any:
    """Gives a stream up with questions under way."""
    request = good(service)
    stream = Stream(service)
    stream.first(request)
    for n in range(200):
        stream.ask(str(n), request)
    stream.call.cancel()
    _, end = stream.rest()
    stream.finish()
    valid = service.auth.Verify(request, metadata=service.root).valid
    return {"end": end["code"], "afterwards": valid}


def late(service: Service) -> Any:
    """Lets a stream's time run out."""
    # The connection is there before the time runs.
    request = good(service)
    stream = Stream(service, timeout=1)
    stream.first(request)
    _, end = stream.rest()
    stream.finish()
    return {"end": end["code"]}


def revoked(service: Service) -> Any:
    """Has the caller's own key revoked in the middle."""
    request = good(service)
    caller = service.make("caller", keyspace="gatehouse", permissions=["tokens:verify"])
    stream = Stream(service, metadata=bearer(caller.secret))
    stream.first(request)
    service.keys.RevokeKey(key_service_pb2.RevokeKeyRequest(id=caller.key.id), metadata=service.root)
    for n in range(20):
        stream.ask(str(n), request)
    answers, end = stream.rest()
    stream.finish()
    return {"answers": len(answers), "end": end}


def reset(service: Service) -> Any:
    """Gives hundreds of unary calls up, each at another moment of its way."""
    request = good(service)
    calls = []
    for n in range(RESETS):
        calls.append(service.auth.Verify.future(request, metadata=service.root))
        if n % 10 == 9:
            time.sleep(0.0005 * (n % 7))
            for call in calls[n - 9 : n + 1]:
                call.cancel()
    ended = Counter(call.code().name for call in calls)
    return {"ended": ended, "afterwards": service.auth.Verify(request, metadata=service.root).valid}
