"""What a fresh installation lacks: a customer, and a key to begin with. Asked for as its operator, over the mesh's own gRPC.

And a form on which a newcomer can sign up, made through the public door as a customer would."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postlaw.identity.v1 import identity_pb2 as identity
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw_common.errors import NotFound
from postlaw_common.rpc.channel import MeshChannel
from postlaw_common.runner import Running
from postlaw_identity.domain.scopes import CUSTOMER
from postlaw_mesh.rest_client import RestClient

KEY_LIVES_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Credentials:
    """`api_key` is shown this once."""

    tenant_id: str
    api_key: str


Channel = Callable[[Callable[[], bytes]], MeshChannel]
"""The operator's channel to identity, with the token that the function gives at each call."""


async def credentials(running: Running, state: Path) -> Credentials:
    """`credentials_over` for whoever runs the services."""
    return await credentials_over(lambda token: running.channel("identity", as_service="operator", token=token), state)


async def credentials_over(channel: Channel, state: Path) -> Credentials:
    """The development customer of this state directory, made on first use, and a fresh API key of seven days. Raises PostlawError."""
    token = b""
    stub = IdentityServiceStub(channel(lambda: token))
    note = state / "development.json"

    async def act_for(tenant_id: str) -> bytes:
        issued = await stub.IssueOperatorContext(identity.IssueOperatorContextRequest(tenant_id=tenant_id))
        return issued.signed.SerializeToString()

    token = await act_for("")
    tenant_id = json.loads(note.read_text(encoding="utf-8"))["tenant_id"] if note.exists() else ""
    if tenant_id:
        try:
            await stub.GetTenant(identity.GetTenantRequest(tenant_id=tenant_id))
        except NotFound:
            tenant_id = ""
    if not tenant_id:
        tenant = await stub.CreateTenant(
            identity.CreateTenantRequest(
                name="Acme (development)",
                postal_address="1 High Street, London N1 1AA",
                sender_identity=identity.SenderIdentity(territory="GB", time_zone="Europe/London", contact="hello@acme.example"),
            )
        )
        tenant_id = tenant.tenant_id
        note.write_text(json.dumps({"tenant_id": tenant_id}), encoding="utf-8")
    token = await act_for(tenant_id)
    request = identity.CreateApiKeyRequest(tenant_id=tenant_id, name=f"development, process {os.getpid()}", scopes=sorted(CUSTOMER))
    request.expires_at.FromSeconds(int(time.time()) + KEY_LIVES_S)
    return Credentials(tenant_id, (await stub.CreateApiKey(request)).secret)


async def form_url(api: RestClient) -> str:
    """Where people sign up: the customer's oldest form that is open, or one made now. Raises ApiProblem."""
    forms = (await api.call("GET", "/v1/forms")).get("forms", [])
    found = next((form for form in forms if "retired_at" not in form), None)
    return (found or await _first_form(api))["url"]


async def _first_form(api: RestClient) -> dict[str, Any]:
    form = {
        "list_id": await api.create_list("Newsletter"),
        "language": "en",
        "wording": "Yes, send me the newsletter by e-mail.",
        "purposes": ["The newsletter, about once a week"],
        "sender": {"name": "Acme (development)", "address": "news@acme.example", "postal_address": "1 High Street, London N1 1AA"},
        "territories": ["GB"],
    }
    return await api.call("POST", "/v1/forms", json=form)
