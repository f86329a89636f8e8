"""The gateway put together: the only door. It owns no domain, only its own notes of answered Idempotency-Keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from postlaw_common.bus import Topic
from postlaw_common.keys.customer import CUSTOMER_KEYS, CustomerKeys
from postlaw_common.platform import Platform
from postlaw_common.service import Background, Service
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger
from postlaw_gateway.access_events import AccessEvents
from postlaw_gateway.app import GatewayApp
from postlaw_gateway.authentication import Authentication
from postlaw_gateway.clients import Calls
from postlaw_gateway.consumers import RevocationTail
from postlaw_gateway.idempotency import IDEMPOTENCY_KEYS, IdempotencyKeys
from postlaw_gateway.public_pages.answering import Place, PublicPages
from postlaw_gateway.public_pages.confirmation import ConfirmationPage
from postlaw_gateway.public_pages.form_tokens import FormTokens
from postlaw_gateway.public_pages.links import Links
from postlaw_gateway.public_pages.opt_out import OptOut
from postlaw_gateway.public_pages.preference_centre import PreferenceCentre
from postlaw_gateway.public_pages.profile import ProfilePage
from postlaw_gateway.public_pages.senders import Senders
from postlaw_gateway.public_pages.sign_up import FormToken, SignUpForm
from postlaw_gateway.public_pages.team_address import TeamAddressPage
from postlaw_gateway.rate_limits import RateLimits
from postlaw_gateway.rest import Parts
from postlaw_gateway.security_events import SecurityEvents
from postlaw_gateway.wire import ACCESS_TOPIC, IDENTITY_TOPIC, SECURITY_TOPIC

_SWEEP_S = 900.0


class GatewaySettings(BaseSettings):
    """`POSTLAW_GATEWAY_RATE_PER_SECOND` and `…_RATE_BURST`: requests per API key and gateway process. `…_SIGN_UPS_A_MINUTE`: forms sent
    from one block of IP addresses (a /24, a /48), per gateway process."""

    model_config = SettingsConfigDict(env_prefix="POSTLAW_GATEWAY_")

    rate_per_second: float = Field(default=100.0, gt=0, description="requests a second, more than 0")
    rate_burst: int = Field(default=200, ge=1, description="a number of requests at once, from 1")
    sign_ups_a_minute: int = Field(default=20, ge=1, description="a number of requests, from 1")


def build(platform: Platform, settings: GatewaySettings) -> Service:
    calls = Calls(platform.channel)
    tail = RevocationTail(platform.bus)
    authentication = Authentication(calls, now_us=platform.now_us, hears_revocations=tail.hears)
    security = SecurityEvents(platform.bus)
    keys: list[CustomerKeys] = []

    def customer_keys() -> CustomerKeys:
        if not keys:
            keys.append(CustomerKeys(platform.store("gateway"), platform.root_key))
        return keys[0]

    idempotency = IdempotencyKeys(lambda: platform.store("gateway").collection(IDEMPOTENCY_KEYS.name), customer_keys, platform.now_us)
    parts = Parts(
        calls,
        authentication,
        RateLimits(settings.rate_per_second, settings.rate_burst, time.monotonic),
        idempotency,
        security,
        AccessEvents(platform.bus),
    )
    links = Links(calls, Senders(calls, time.monotonic))
    form_tokens = FormTokens(platform.platform_keys.get, platform.now_us)
    forms = RateLimits(settings.sign_ups_a_minute / 60, settings.sign_ups_a_minute, time.monotonic)
    places: Mapping[str, Mapping[str, Place]] = {
        "u": {"": OptOut(links), "preferences": PreferenceCentre(links, forms)},
        "f": {"": SignUpForm(links, calls, form_tokens, forms), "token": FormToken(links, form_tokens)},
        "c": {"": ConfirmationPage(links)},
        "p": {"": ProfilePage(links)},
        "t": {"": TeamAddressPage(links)},
    }
    public_pages = PublicPages(places, security, https=platform.public_url.startswith("https:"))
    return Service(
        name="gateway",
        databases={"gateway": (IDEMPOTENCY_KEYS, CUSTOMER_KEYS)},
        topics=(Topic(IDENTITY_TOPIC), Topic(SECURITY_TOPIC), Topic(ACCESS_TOPIC)),
        backgrounds=(
            Background("gateway: hears revocations", lambda: tail.run(authentication.revoke)),
            Background("gateway: publishes security events", security.run),
            Background("gateway: sweeps idempotency keys", lambda: _sweep(idempotency)),
        ),
        on_start=tail.start,
        on_stop=security.flush,
        http_app=GatewayApp(parts, public_pages, public_url=platform.public_url),
    )


async def _sweep(idempotency: IdempotencyKeys) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        try:
            await idempotency.sweep()
        except StoreUnavailable:
            get_logger("gateway").warning("expired idempotency keys could not be swept; the next sweep takes them")
