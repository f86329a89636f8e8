"""Files of people to import, and what an import counted of them."""

from __future__ import annotations

from postlaw.subscribers.v1 import subscribers_pb2 as pb

PEOPLE = b"email,first name\nann@example.com,Ann\nBob+news@Example.com,Bob\n"


def rows(count: int) -> bytes:
    return b"email,name\n" + b"".join(b"p%d@example%d.com,Person %d\n" % (i, i % 7, i) for i in range(count))


def counts(done: pb.Import) -> tuple[int, int, int, int, int]:
    return done.rows, done.added, done.updated, done.unchanged, done.refused
