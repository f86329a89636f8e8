"""From a mail in somebody's hands, years later, to why they got it: through the whole mesh, after everything else of theirs was erased."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_mesh.command import main
from postlaw_sending.testing.dns_server import dns_server

from .signing_up import ATTESTED, Acme, acme, imported
from .test_signed_mail import DOMAIN, caught, publish

ANN = "ann@people.example"


async def key_of(customer: Acme) -> str:
    operator: Any = IdentityServiceStub(
        customer.mesh.channel("identity", as_service="operator", caller=customer.mesh.caller("", ["platform:admin", "keys:write"]))
    )
    asked = identity_pb2.CreateApiKeyRequest(tenant_id=customer.tenant_id, name="compliance", scopes=["audit:read", "consents:read"])
    return (await operator.CreateApiKey(asked)).secret


async def evidence(customer: Acme, key: str, *words: str, given: bytes | None = None) -> Result:
    env = {"POSTLAW_API_KEY": key, "POSTLAW_PUBLIC_URL": customer.mesh.http_url()}
    return await asyncio.to_thread(CliRunner().invoke, main, ["evidence", *words], input=given, env=env)


def by_python_alone(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", "-S", str(folder / program), *words], capture_output=True, text=True, check=False)


@promise("A1", "A3", "G1")
async def test_of_a_mail_whose_person_was_erased_evidence_verifies_on_a_machine_that_has_only_python(tmp_path: Path) -> None:
    async with dns_server() as server, acme(tmp_path / "state", dns=server.address) as customer:
        stub = customer.stub(SendingServiceStub, "sending")
        publish(server, await stub.RegisterSenderDomain(DOMAIN))
        await stub.CheckSenderDomain(DOMAIN)
        await imported(customer, f"email\n{ANN}\n".encode(), list_id=customer.list_id, consent=ATTESTED)
        sent = await customer.campaign("<p>Grüße</p>")
        eml = tmp_path / "ann.eml"
        eml.write_bytes((await caught(customer, ANN)).message)
        people = customer.stub(SubscribersServiceStub, "subscribers")
        ann = await people.ResolvePerson(subscribers.ResolvePersonRequest(address=ANN))
        await people.DeleteSubscriber(subscribers.DeleteSubscriberRequest(subscriber_id=ann.subscriber_id))
        key, zipped, page = await key_of(customer), tmp_path / "evidence.zip", tmp_path / "evidence.html"
        words = ["--eml", str(eml), "--zip", str(zipped), "--page", str(page)]
        async with patience():
            while "erased" not in (done := await evidence(customer, key, *words)).output:
                assert done.exit_code in (0, 1, 3), done.output
                await asyncio.sleep(0.2)
        assert done.exit_code == 0
        for said in (f"handed over, sent, campaign {sent.campaign_id}", "given {", "by the law of", "UNWITNESSED", "Ours: <"):
            assert said in done.output, said
        assert "<h2>Why was this person mailed?</h2>" in page.read_text()
        header = await evidence(customer, key, "--eml", "-", given=eml.read_bytes().partition(b"\r\n\r\n")[0])
        assert (header.exit_code, "No body was shown" in header.output) == (0, True), header.output
        altered = await evidence(customer, key, "--eml", "-", "--json", given=eml.read_bytes().replace(b"News.", b"Newts"))
        assert (altered.exit_code, json.loads(altered.output)["ours"]) == (3, False)
        assert "its body is not what was signed" in altered.output
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(tmp_path / "bundle")
    verified = by_python_alone(tmp_path / "bundle", "verify.py")
    assert (verified.returncode, "unwitnessed" in verified.stdout) == (0, True), verified.stderr
    ours = by_python_alone(tmp_path / "bundle", "mail.py", str(eml))
    assert (ours.returncode, ours.stdout[:5]) == (0, "ours:"), ours.stderr
    told = b"".join(file.read_bytes() for file in (tmp_path / "bundle").rglob("*") if file.is_file() and file.name != "mail.header")
    assert ANN.encode() not in told
