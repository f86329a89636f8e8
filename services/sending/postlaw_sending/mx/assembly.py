"""Delivery straight to MX, wired by hand. Nothing is opened here."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_sending.delivery import Relay, TlsPolicy
from postlaw_sending.domains.dns import Dns
from postlaw_sending.mx.exchange import MxExchange
from postlaw_sending.mx.hosts import MailHosts
from postlaw_sending.worker.routes import Route


@dataclass(frozen=True, slots=True)
class MxSettings:
    """Of this installation. `own`: the names that our servers are known by. `private`: addresses that are not public are mailed to."""

    ehlo: str
    own: frozenset[str]
    port: int
    connections: int
    depth: int
    tls: TlsPolicy
    private: bool


def exchange(settings: MxSettings, dns: Dns) -> MxExchange:
    def relay(route: Route, host: str, addresses: tuple[str, ...]) -> Relay:
        return Relay(host, settings.port, depth=settings.depth, tls=settings.tls, ehlo=settings.ehlo, addresses=addresses)

    hosts = MailHosts(dns, settings.own, private=settings.private)
    return MxExchange(hosts, relay, settings.connections)
