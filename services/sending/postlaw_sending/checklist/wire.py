"""The checklist as protobuf has it."""

from __future__ import annotations

from collections.abc import Sequence

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.checklist.items import Item

_STATES = {"pass": sending.Checklist.STATE_PASS, "warn": sending.Checklist.STATE_WARN, "fail": sending.Checklist.STATE_FAIL}


def checklist_to_wire(items: Sequence[Item]) -> sending.Checklist:
    return sending.Checklist(
        passed=all(item.state != "fail" for item in items),
        items=[sending.Checklist.Item(id=item.id, state=_STATES[item.state], what=item.what, what_to_do=item.what_to_do) for item in items],
    )
