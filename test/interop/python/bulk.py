"""Many questions at once: in one batch, and in many calls over one connection."""

from typing import Any

from gatehouse.v1 import auth_service_pb2 as auth
from service import Service, refusal, told

# The most that a VerifyBatch may have.
BATCH = 100


def batch(service: Service) -> Any:
    secret = service.make("batch").secret
    # A good token, junk, nothing, and a question that is malformed, over and over.
    kinds = [
        auth.VerifyRequest(token=secret),
        auth.VerifyRequest(token="gate_junk"),
        auth.VerifyRequest(),
        auth.VerifyRequest(token=secret, permissions=["a b"]),
    ]
    request = auth.VerifyBatchRequest(requests=(kinds * BATCH)[:BATCH])
    answer = service.auth.VerifyBatch(request, metadata=service.root)
    request.requests.add(token=secret)
    return {
        "results": [
            told(result.error)
            if result.WhichOneof("result") == "error"
            else auth.VerifyStatus.Name(result.response.status)
            for result in answer.results
        ],
        "oneMore": refusal(lambda: service.auth.VerifyBatch(request, metadata=service.root)),
    }


def parallel(service: Service) -> Any:
    request = auth.VerifyRequest(token=service.make("parallel").secret)
    calls = [service.auth.Verify.future(request, metadata=service.root) for _ in range(500)]
    return {"valid": sum(call.result().valid for call in calls)}
