"""The door over real sockets, and its ear while the bus is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx

from postlaw.identity.v1 import identity_pb2
from postlaw_common.bus import BusUnavailable, Received
from postlaw_common.testing.patience import PATIENCE_S
from postlaw_common.testing.promises import promise
from postlaw_gateway.consumers import RevocationTail
from postlaw_gateway.security_events import Refusal, SecurityEvents
from postlaw_gateway.wire import IDENTITY_TOPIC, REVOKED_TYPE


@promise("G2")
async def test_an_opt_out_over_a_socket(door: Any) -> None:
    async with httpx.AsyncClient(base_url=door.mesh.http_url(), trust_env=False, timeout=PATIENCE_S) as http:
        page = await http.get("/u/good")
        head = await http.head("/u/good")
        assert (page.status_code, head.status_code, head.content) == (200, 200, b"")
        assert head.headers["content-length"] == page.headers["content-length"]
        stop = await http.post("/u/good", data={"List-Unsubscribe": "One-Click"})
        assert stop.json()["outcome"] == "stopped"
        form = await http.post("/u/good", files={"List-Unsubscribe": (None, "One-Click")})
        assert form.json()["already_withdrawn"] is True
        assert (await http.post("/u/good", content=b"x" * 100_000)).status_code == 413
        assert (await http.get("/u/go%6Fd")).status_code == 200


async def test_an_import_over_a_socket_is_streamed(door: Any) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"a@b.example,Ann\r\n" * 1000

    headers = {"authorization": f"Bearer {door.secret}", "content-type": "text/csv"}
    async with httpx.AsyncClient(base_url=door.mesh.http_url(), headers=headers, trust_env=False, timeout=PATIENCE_S) as http:
        answer = await http.post("/v1/imports?list_id=lst_1", content=body())
        assert answer.status_code == 202
        refused = await http.post("/v1/imports?list_id=lst_gone", content=body())
        assert refused.status_code == 404
        report = await http.get("/v1/imports/imp_1/errors")
        assert report.text.startswith("row,reason")
    assert [len(upload) for upload in door.subscribers.uploads] == [50 * 17_000]


class _Bus:
    """A bus that is away when told so."""

    partitions = 2

    def __init__(self) -> None:
        self.away = False
        self.records: list[Received] = []
        self.assigned: list[Mapping[tuple[str, int], int]] = []
        self.published: list[Any] = []
        self.turned_away = 0

    async def end_offset_client(self) -> _Bus:
        return self

    async def end_offsets(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return dict.fromkeys(partitions, 5)

    async def reader(self, *, unhurried: bool = False, standing: bool = False) -> _Bus:
        if self.away:
            self.turned_away += 1
            raise BusUnavailable
        return self

    async def assign(self, positions: Mapping[tuple[str, int], int]) -> None:
        self.assigned.append(dict(positions))

    async def read(self, *, max_records: int = 500, timeout: float = 1.0) -> list[Received]:
        await asyncio.sleep(0.001)
        if self.away:
            raise BusUnavailable
        taken, self.records = self.records, []
        return taken

    async def publish(self, records: Sequence[Any]) -> list[int]:
        if self.away:
            raise BusUnavailable
        self.published += records
        return [0] * len(records)

    async def close(self) -> None: ...


def revocation(offset: int, credential_id: str) -> Received:
    data = identity_pb2.ApiKeyRevoked(api_key=identity_pb2.ApiKey(api_key_id=credential_id)).SerializeToString()
    return Received(IDENTITY_TOPIC, 1, offset, data, None, {"ce_type": REVOKED_TYPE.encode()}, 0)


@promise("X6")
async def test_the_tail_reads_on_where_it_was_after_the_bus_was_away() -> None:
    bus: Any = _Bus()
    tail = RevocationTail(bus)
    assert not tail.hears()
    await tail.start()
    assert tail.hears()
    revoked: list[str] = []
    bus.records = [revocation(5, "key_1"), Received(IDENTITY_TOPIC, 1, 6, b"", None, {"ce_type": b"another"}, 0)]
    running = asyncio.create_task(tail.run(revoked.append))
    while not revoked:
        await asyncio.sleep(0.005)
    bus.away = True
    while bus.turned_away < 2:
        await asyncio.sleep(0.01)
    bus.records = [revocation(7, "key_2")]
    bus.away = False
    while len(revoked) < 2:
        await asyncio.sleep(0.005)
    running.cancel()
    assert revoked == ["key_1", "key_2"]
    assert bus.assigned[0] == {(IDENTITY_TOPIC, 0): 5, (IDENTITY_TOPIC, 1): 5}
    assert bus.assigned[-1] == {(IDENTITY_TOPIC, 0): 5, (IDENTITY_TOPIC, 1): 7}


@promise("S3")
async def test_a_refusal_that_the_bus_did_not_take_is_published_when_stopping() -> None:
    bus: Any = _Bus()
    security = SecurityEvents(bus)
    bus.away = True
    security.refused(Refusal("bad_token", "POST", "/u/{token}"))
    running = asyncio.create_task(security.run())
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert bus.published == []
    bus.away = False
    await security.flush()
    await security.flush()
    assert len(bus.published) == 1
