"""All services of the mesh, as the runner takes them. The one place that imports them all."""

from __future__ import annotations

from collections.abc import Mapping

from postlaw_audit.service import AuditSettings
from postlaw_audit.service import build as build_audit
from postlaw_common.runner import Builder
from postlaw_common.settings import load
from postlaw_consent.service import ConsentSettings
from postlaw_consent.service import build as build_consent
from postlaw_gateway.service import GatewaySettings
from postlaw_gateway.service import build as build_gateway
from postlaw_identity.service import IdentitySettings
from postlaw_identity.service import build as build_identity
from postlaw_sending.service import build as build_sending
from postlaw_sending.settings import SendingSettings
from postlaw_subscribers.service import build as build_subscribers
from postlaw_subscribers.settings import SubscribersSettings


def builders(*, sending: SendingSettings | None = None, gateway: GatewaySettings | None = None) -> Mapping[str, Builder]:
    """By service name. Settings come from the environment but for those given."""
    return {
        "identity": lambda platform: build_identity(platform, load(IdentitySettings)),
        "subscribers": lambda platform: build_subscribers(platform, load(SubscribersSettings)),
        "consent": lambda platform: build_consent(platform, load(ConsentSettings)),
        "sending": lambda platform: build_sending(platform, sending or load(SendingSettings)),
        "audit": lambda platform: build_audit(platform, load(AuditSettings)),
        "gateway": lambda platform: build_gateway(platform, gateway or load(GatewaySettings)),
    }
