"""What whoever runs the installation does, and no event of its own tells of (promise A1): an OperatorActed before it is done, so that
nothing is done of which the log does not know, and one after, with what came of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from google.protobuf.message import Message

from postlaw.audit.v1 import audit_pb2
from postlaw_common.bus import Bus, Topic
from postlaw_common.caller import OPERATOR, acting
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.telemetry.classified import loggable

ACTS: Final = Topic("postlaw.operator.acts.v1")
_TYPE: Final = "postlaw.operator.OperatorActed"

Answer = TypeVar("Answer", bound=Message)


class OperatorActs:
    """`service`: whose methods they are."""

    def __init__(self, bus: Bus, service: str) -> None:
        self._bus = bus
        self._service = service

    async def noted(self, method: str, request: Message, act: Callable[[], Awaitable[Answer]]) -> Answer:
        """Carries it out. What a service asks of itself is not noted. Raises BusUnavailable, and whatever `act` raises."""
        if acting() != OPERATOR:
            return await act()
        said = audit_pb2.OperatorActed(operation=f"{self._service}.{method}", asked=_shown(request))
        await self._tell(said)
        answer = await act()
        said.answered = _shown(answer)
        await self._tell(said)
        return answer

    async def _tell(self, said: audit_pb2.OperatorActed) -> None:
        event = new_event(_TYPE, said.SerializeToString(), source=self._service, subject=said.operation, sequence=0, tenant_id="")
        await self._bus.publish([to_record(event, ACTS.name, partition_of(said.operation, self._bus.partitions))])


def _shown(message: Message) -> str:
    return json.dumps(loggable(message), sort_keys=True)
