"""An import: what is taken, what is refused and why; and that crashes, repetitions and duplicates count nobody twice."""

from __future__ import annotations

import codecs
import csv
import io
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.errors import Conflict, Invalid

PEOPLE = b"email,first name\nann@example.com,Ann\nBob+news@Example.com,Bob\n"


async def test_rows_become_people_on_the_list_with_their_fields(world: Any) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, PEOPLE)
    assert (done.state, done.rows, done.added, done.refused) == (pb.Import.STATE_DONE, 2, 2, 0)
    members = {member.address: dict(member.fields) for member in await world.audience(list_id)}
    assert members == {"ann@example.com": {"first name": "Ann"}, "Bob+news@example.com": {"first name": "Bob"}}
