"""The platform: everything that a service stands on, opened by the runner, handed to `build`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import grpc.aio

from postlaw_common.blobs import Blobs
from postlaw_common.bus import Bus
from postlaw_common.keys import RootKey
from postlaw_common.keys.platform import PlatformKeys
from postlaw_common.placement import Placement
from postlaw_common.store import Store


@dataclass(frozen=True, slots=True)
class Platform:
    """`store(name)` is one object a name (the service's own database, plus `platform`); `channel(service)` an authenticated
    gRPC channel to that service, made on first use. `placement` and `generation` (of the topics, as this process found them) are set
    before any `on_start` runs."""

    bus: Bus
    blobs: Blobs
    root_key: RootKey
    platform_keys: PlatformKeys
    store: Callable[[str], Store]
    channel: Callable[[str], grpc.aio.Channel]
    placement: Callable[[], Placement]
    generation: Callable[[], str]
    now_us: Callable[[], int]
    public_url: str  # the gateway's own host, never a customer's: "https://…", for links in mail
