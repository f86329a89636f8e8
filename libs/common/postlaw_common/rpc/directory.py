"""Where services are: in this process, at an address from settings, or in a process that wrote its addresses into the state."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc.aio

from postlaw_common.errors import Unavailable
from postlaw_common.rpc.channel import MeshChannel, connect
from postlaw_common.rpc.door import Door
from postlaw_common.rpc.near import NearChannel
from postlaw_common.rpc.tls import Identities

_FOLDER = "addresses"  # a file for each service, since several processes may share a state
_ARRIVE_S = 1.0  # a served answer may still be in the network, or in a loop that others keep busy


class Directory:
    """Channels to services, one bare channel per (who asks, whom), made when first used."""

    def __init__(self, identities: Identities, peers: Mapping[str, str]) -> None:
        self._identities = identities
        self._peers = peers
        self.here: dict[str, str] = {}
        self.doors: dict[str, Door] = {}  # of the services that run here
        self._bare: dict[tuple[str, str], grpc.aio.Channel] = {}

    def channel(
        self, service: str, as_service: Callable[[], str], token: Callable[[], bytes] | None = None, *, near: bool = False
    ) -> MeshChannel:
        """A channel to `service` that shows `as_service()`'s certificate; both are looked up at the first call.
        Calls raise Unavailable while the service has no address. `near`: without a network where the service runs here (near.py)."""
        through = (lambda: self._near(service, as_service())) if near else None
        return MeshChannel(service, lambda: self._open(service, as_service()), token, through)

    def _near(self, service: str, as_service: str) -> NearChannel | None:
        door = None if service in self._peers else self.doors.get(service)
        return door and NearChannel(door, as_service)

    def _open(self, service: str, as_service: str) -> grpc.aio.Channel:
        bare = self._bare.get((as_service, service))
        if bare is None:
            address = self._peers.get(service) or self.here.get(service)
            if address is None:
                raise Unavailable(f"The service {service} does not run here; name its address in POSTLAW_PEER_{service.upper()}.")
            bare = self._bare[as_service, service] = connect(address, service, self._identities(as_service))
        return bare

    async def close(self) -> None:
        """Answers on their way still arrive, for a moment; what then is not answered is cancelled."""
        for door in self.doors.values():
            door.cut_off()
        await asyncio.gather(*(bare.close(_ARRIVE_S) for bare in self._bare.values()))
        self._bare.clear()

    def publish(self, state: Path) -> None:
        """Writes the addresses of this process for the operator's commands on this machine."""
        folder = state / _FOLDER
        folder.mkdir(exist_ok=True, mode=0o700)
        for service, address in self.here.items():
            draft = folder / f".{service}.{os.getpid()}"
            draft.write_text(address)
            draft.replace(folder / service)

    def withdraw(self, state: Path) -> None:
        """Removes those that still are this process's own."""
        for service, address in self.here.items():
            if published(state).get(service) == address:
                (state / _FOLDER / service).unlink(missing_ok=True)


def published(state: Path) -> dict[str, str]:
    """The addresses that running processes have written; {} where none runs."""
    found: dict[str, str] = {}
    for file in (state / _FOLDER).glob("[!.]*"):
        with contextlib.suppress(FileNotFoundError):
            found[file.name] = file.read_text()
    return found
