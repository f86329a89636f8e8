"""Scopes: what a credential may be used for. The methods' own options (protos) say which scope each one asks for."""

from __future__ import annotations

from collections.abc import Iterable

PLATFORM_ADMIN = "platform:admin"  # whoever runs this installation, across customers; never in an API key

# What a customer's key may hold.
CUSTOMER = frozenset(
    {
        "audit:read",
        "campaigns:launch",
        "campaigns:read",
        "campaigns:write",
        "consents:read",
        "consents:write",
        "domains:read",
        "domains:write",
        "keys:read",
        "keys:write",
        "lists:read",
        "lists:write",
        "messages:write",
        "reports:read",
        "reports:write",
        "subscribers:read",
        "subscribers:write",
        "suppressions:approve",
        "suppressions:export",
        "templates:approve",
        "templates:read",
        "templates:write",
        "webhooks:read",
        "webhooks:write",
    }
)

# What only the mesh's own background work may hold: people's data in bulk, and mail to one of them.
INNER = frozenset({"audience:read", "decisions:read", "messages:send"})

# A service never handles credentials on its own account, nor takes out who said stop, nor approves, whoever started its work.
SERVICE = (CUSTOMER | INNER) - {"keys:read", "keys:write", "suppressions:approve", "suppressions:export", "templates:approve"}


def beyond(asked: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """The asked scopes that are not allowed, sorted."""
    return sorted(set(asked) - set(allowed))
