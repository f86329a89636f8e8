"""Acting in the name of whoever launched: postlaw_common.service_context.ServiceContexts, as far as it is needed here."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from postlaw_common.caller import Actor


class Contexts(Protocol):
    def acting(
        self, tenant_id: str, on_behalf_of: Actor | None = None, scopes: Iterable[str] = (), purpose: str = ""
    ) -> AbstractAsyncContextManager[Any]:
        """Everything inside is done for this tenant and actor. Raises Unavailable where identity cannot be asked."""
        ...
