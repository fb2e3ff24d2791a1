"""VerifyStream: questions by the hundred, compressed ones, and a client that sends on while it reads nothing."""

import time
from queue import SimpleQueue
from typing import Any, Iterator

import grpc

from gatehouse.v1 import auth_service_pb2 as auth
from service import Service, refusal, told


def question(id: str, request: auth.VerifyRequest | None) -> auth.VerifyStreamRequest:
    return auth.VerifyStreamRequest(id=id, request=request)


class Stream:
    """A VerifyStream that is asked one question after the other."""

    def __init__(self, service: Service, metadata: Any = None, timeout: float | None = None):
        self._asked: SimpleQueue[auth.VerifyStreamRequest | None] = SimpleQueue()
        questions = iter(self._asked.get, None)
        self.call = service.auth.VerifyStream(questions, metadata=metadata or service.root, timeout=timeout)

    def ask(self, id: str, request: auth.VerifyRequest | None) -> None:
        self._asked.put(question(id, request))

    def finish(self) -> None:
        """No more questions come."""
        self._asked.put(None)

    def first(self, request: auth.VerifyRequest) -> None:
        """Asks one, and waits for its answer."""
        self.ask("first", request)
        next(self.call)

    def rest(self) -> tuple[list[auth.VerifyStreamResponse], dict[str, Any]]:
        """The answers up to the end, and how it ended."""
        return rest(self.call)


def rest(call: Iterator[auth.VerifyStreamResponse]) -> tuple[list[auth.VerifyStreamResponse], dict[str, Any]]:
    answers: list[auth.VerifyStreamResponse] = []

    def read() -> None:
        for answer in call:
            answers.append(answer)

    end = refusal(read)
    return answers, end


def outcome(answer: auth.VerifyStreamResponse) -> Any:
    if answer.WhichOneof("result") == "error":
        return told(answer.error)
    return auth.VerifyStatus.Name(answer.response.status)


def stream(service: Service) -> Any:
    """Hundreds of questions of every kind, and then no more."""
    secret = service.make("stream", permissions=["docs:read"]).secret
    good = auth.VerifyRequest(token=secret)
    kinds = [
        good,
        auth.VerifyRequest(token=secret, permissions=["mail:read"]),
        auth.VerifyRequest(token="gate_junk"),
        auth.VerifyRequest(token=secret, permissions=["a b"]),
        auth.VerifyRequest(token="x" * 9000),
        None,
    ]
    asked = Stream(service)
    for n in range(600):
        asked.ask(str(n), kinds[n % len(kinds)])
    for odd in ["", "i" * 65, "a\nb"]:
        asked.ask(odd, good)
    asked.finish()
    answers, end = asked.rest()
    return {
        "answers": len(answers),
        "results": {answer.id: outcome(answer) for answer in answers},
        "end": end["code"],
    }


def packed(service: Service) -> Any:
    """Compressed questions, with as much metadata as the service takes; or more."""
    good = auth.VerifyRequest(token=service.make("packed").secret)

    def play(note: int) -> tuple[int, str]:
        call = service.auth.VerifyStream(
            iter([question(str(n), good) for n in range(20)]),
            metadata=[*service.root, ("x-note", "n" * note)],
            compression=grpc.Compression.Gzip,
        )
        answers, end = rest(call)
        return sum(answer.response.valid for answer in answers), end["code"]

    valid, end = play(14_000)
    none, too_large = play(40_000)
    return {"valid": valid, "end": end, "none": none, "tooLarge": too_large}


def unread(service: Service) -> Any:
    """Sends on while it reads nothing, and reads once no more is taken from it."""
    made = service.make("unread", metadata={f"k{n}": "x" * 200 for n in range(10)})
    good = auth.VerifyRequest(token=made.secret, context=auth.VerifyContext(path="p" * 1000))
    sent = 0

    def questions() -> Iterator[auth.VerifyStreamRequest]:
        nonlocal sent
        for n in range(4000):
            yield question(str(n), good)
            sent += 1

    # A window that does not grow: the client would take all of it in unread otherwise.
    fixed = service.again([("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)])
    call = fixed.auth.VerifyStream(questions(), metadata=service.root)
    # Nothing is taken for a while: the service waits for its client.
    last, still = 0, 0
    while still < 15:
        time.sleep(0.02)
        last, still = sent, still + 1 if sent == last and sent > 0 else 0
    before = sent
    answers, end = rest(call)
    return {
        "unread": before,
        "answers": len(answers),
        "ids": len({answer.id for answer in answers}),
        "end": end["code"],
    }
