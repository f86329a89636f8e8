"""From a consent through the real door to a receipt that verifies with nothing running: gateway, consent, audit, and the log's bucket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from postlaw.consent.v1 import consent_pb2
from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw.sending.v1 import sending_pb2
from postlaw.sending.v1.sending_pb2_grpc import add_SendingServiceServicer_to_server
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw.subscribers.v1.subscribers_pb2_grpc import add_SubscribersServiceServicer_to_server
from postlaw_common.testing.mesh import fake, mesh
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_mesh.builders import builders
from postlaw_mesh.command import main
from services.gateway.tests.played.identity import FakeIdentity, Key

SUBSCRIBER = "sub_06d3k5yznp1w9r8g7f6e5d4c3b"


class Knowing:
    async def ResolvePerson(self, request: Any, context: Any) -> subscribers_pb2.ResolvedPerson:
        return subscribers_pb2.ResolvedPerson(address_key=b"\x01" + bytes(32))


class Stopping:
    async def AwaitStopped(self, request: Any, context: Any) -> sending_pb2.AwaitStoppedResponse:
        return sending_pb2.AwaitStoppedResponse(outcome=consent_pb2.OUTCOME_STOPPED, epoch=1)


async def verified(file: Path, *options: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["receipt", "verify", str(file), *options])


@promise("G2", "M5", "A3")
async def test_receipts_of_a_consent_and_of_its_withdrawal_verify_once_everything_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = FakeIdentity()
    made = builders()
    services = [
        made["gateway"], made["consent"], made["audit"],
        fake("identity", add_IdentityServiceServicer_to_server, identity),
        fake("subscribers", add_SubscribersServiceServicer_to_server, Knowing()),
        fake("sending", add_SendingServiceServicer_to_server, Stopping()),
    ]  # fmt: skip
    state = tmp_path / "state"
    files: dict[str, Path] = {}
    async with mesh(state, services, public_url="https://mail.example") as running:
        identity.mesh = running
        identity.keys["pl_live_1"] = Key()
        transport = httpx.ASGITransport(running.running.services["gateway"].http_app, raise_app_exceptions=False)
        headers = {"authorization": "Bearer pl_live_1"}
        async with httpx.AsyncClient(transport=transport, base_url="https://mail.example", headers=headers) as http:
            about = {"subscriber_id": SUBSCRIBER, "scope": {"list_id": "lst_1"}}
            recorded = await http.post("/v1/consents", json={"consents": [{**about, "wording": "Yes."}]})
            withdrawn = await http.post("/v1/consents/withdraw", json=about)
            ids = {"given": recorded.json()["event_ids"][0], "withdrawn": withdrawn.json()["event_id"]}
            for kind, id in ids.items():
                async with patience():
                    while b'"log"' not in (answer := await http.get(f"/v1/subscribers/{SUBSCRIBER}/consents/{id}/receipt")).content:
                        assert answer.status_code == 200, answer.text
                        await asyncio.sleep(0.05)
                assert answer.headers["content-type"] == "application/json"
                files[kind] = tmp_path / f"{kind}.json"
                files[kind].write_bytes(answer.content)
            keys = tmp_path / "keys.json"
            keys.write_bytes((await http.get("/v1/receipt-keys", headers={"authorization": ""})).content)
            log_key = (await http.get("/v1/audit/checkpoint", headers={"authorization": ""})).json()["verifier_key"]
            open_files = [
                await http.get(f"/v1/audit/log/{path}", headers={"authorization": ""}) for path in ("log.vkey", "tile/entries/000")
            ]
            assert (open_files[0].text.strip(), open_files[1].status_code) == (log_key, 403)
            absent = await http.get(f"/v1/subscribers/{SUBSCRIBER}/consents/evt_other/receipt")
            assert (absent.status_code, absent.headers["content-type"]) == (404, "application/problem+json")
    assert next(state.rglob("log.vkey")).read_text().strip() == log_key
    monkeypatch.setenv("POSTLAW_STATE", str(state))
    for kind, file in files.items():
        for options in ([], ["--receipt-key", str(keys), "--log-key", log_key]):
            done = await verified(file, *options)
            assert (done.exit_code, f", {kind} at " in done.output, "unwitnessed" in done.output) == (0, True, True), done.output
    files["given"].write_text(files["given"].read_text().replace("Möbel", "Mobel"))
    assert (await verified(files["given"])).exit_code == 1
