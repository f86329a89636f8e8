"""Identity, wired by hand. `build` opens nothing."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw_common.bus import Topic
from postlaw_common.outbox import Outbox
from postlaw_common.platform import Platform
from postlaw_common.service import Service, Servicer
from postlaw_common.store import Collection, CollectionSpec
from postlaw_identity.announcing import Announcing
from postlaw_identity.api_keys import API_KEYS, ApiKeys
from postlaw_identity.peppers import PEPPERS, Peppers
from postlaw_identity.servicer import IdentityServicer
from postlaw_identity.signing_keys import SIGNING_KEYS, SigningKeys
from postlaw_identity.tenants import TENANTS, Tenants
from postlaw_identity.use_cases.api_keys import ListApiKeys, RevokeApiKey
from postlaw_identity.use_cases.create_api_key import CreateApiKey
from postlaw_identity.use_cases.issue_context import AuthenticateApiKey, Issue, IssueOperatorContext, IssueServiceContext
from postlaw_identity.use_cases.rotate_signing_key import ListSigningKeys, RotateSigningKey
from postlaw_identity.use_cases.tenants import CreateTenant, GetTenant, SetSenderIdentity
from postlaw_identity.wire import EVENTS, encode


class IdentitySettings(BaseSettings):
    """`POSTLAW_IDENTITY_…`. `signing_key_lead_s`: a new signing key is published this long before it signs; more than the five
    minutes after which verifiers fetch keys anew."""

    model_config = SettingsConfigDict(env_prefix="POSTLAW_IDENTITY_")

    signing_key_lead_s: float = Field(default=600, ge=0, le=86_400, description="seconds from 0 to 86400")


def build(platform: Platform, settings: IdentitySettings) -> Service:
    store, now_us = platform.store("identity"), platform.now_us

    def lazily(spec: CollectionSpec) -> Callable[[], Collection]:
        return lambda: store.collection(spec.name)

    outbox = Outbox(platform.bus, lambda: [store.collection(spec.name) for spec in (TENANTS, API_KEYS, SIGNING_KEYS)])
    announcing = Announcing(EVENTS, encode, lambda: platform.bus.partitions)
    tenants = Tenants(lazily(TENANTS), outbox)
    keys = ApiKeys(lazily(API_KEYS), outbox)
    peppers = Peppers(lazily(PEPPERS), platform.root_key)
    signing_keys = SigningKeys(lazily(SIGNING_KEYS), platform.root_key, outbox, now_us)
    issue = Issue(signing_keys, now_us)
    rotate = RotateSigningKey(signing_keys, announcing, now_us, int(settings.signing_key_lead_s * 1_000_000))
    servicer = IdentityServicer(
        create_tenant=CreateTenant(tenants, announcing, now_us),
        get_tenant=GetTenant(tenants),
        set_sender_identity=SetSenderIdentity(tenants, announcing, now_us),
        create_api_key=CreateApiKey(keys, tenants, peppers, announcing, now_us),
        list_api_keys=ListApiKeys(keys),
        revoke_api_key=RevokeApiKey(keys, announcing, now_us),
        authenticate_api_key=AuthenticateApiKey(keys, peppers, issue, now_us),
        issue_service_context=IssueServiceContext(tenants, issue),
        issue_operator_context=IssueOperatorContext(tenants, issue),
        rotate_signing_key=rotate,
        list_signing_keys=ListSigningKeys(signing_keys, now_us),
    )
    return Service(
        name="identity",
        databases={"identity": (TENANTS, API_KEYS, PEPPERS, SIGNING_KEYS)},
        topics=[Topic(EVENTS)],
        servicers=[Servicer("postlaw.identity.v1.IdentityService", add_IdentityServiceServicer_to_server, servicer)],
        backgrounds=[outbox.background()],
        on_start=lambda: signing_keys.ensure(rotate.announcement),
    )
