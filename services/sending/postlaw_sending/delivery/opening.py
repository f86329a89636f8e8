"""From a relay's settings to a connection that is ready for transactions: TCP, greeting, EHLO, STARTTLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

from postlaw_sending.delivery.connection import Connection
from postlaw_sending.delivery.relay import Relay
from postlaw_sending.delivery.replies import text_of

_NEVER_PLAIN: Final = ("encrypted", "required")
_LINGER_NOT = struct.pack("ii", 1, 0)


class CannotConnect(Exception):
    """The relay does not take mail from us now; the text says at which step and why, without personal data."""


class _TlsFailed(Exception):
    """The server offered TLS, and it could not be had."""


async def connect(relay: Relay) -> Connection:
    """A connection that is ready for hand-offs. CannotConnect.

    Where TLS is opportunistic and fails, one more attempt is made in plaintext (RFC 7435 §3).
    """
    try:
        return await _open(relay, relay.tls != "none")
    except _TlsFailed as error:
        if relay.tls in _NEVER_PLAIN:
            raise CannotConnect(f"TLS with {relay.host} failed: {error}") from error
    return await _open(relay, False)


async def _open(relay: Relay, tls: bool) -> Connection:
    """_TlsFailed, CannotConnect."""
    connection = Connection(relay)
    try:
        sock = await _dial(relay)
        await connection.adopt(sock)
        code, lines = await connection.ask(b"", relay.greeting_s)
        if code != 220:
            raise CannotConnect(f"{relay.host} greeted with {code} {text_of(lines)}")
        offers = await _hello(connection, relay)
        if tls and "STARTTLS" in offers:
            connection.tls_version = await _start_tls(connection, relay)
            offers = await _hello(connection, relay)  # RFC 3207 §4.2: what was offered in plaintext counts for nothing
        elif relay.tls in _NEVER_PLAIN:
            raise CannotConnect(f"{relay.host} does not offer STARTTLS, and the policy requires it")
        connection.ready(offers)
        if not connection.alive:
            raise CannotConnect(f"{relay.host} ended the connection right after its greeting")
    except OSError as error:  # TimeoutError is one
        connection.reset()
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        raise CannotConnect(f"{relay.host}:{relay.port}: {why}") from error
    except BaseException:
        connection.reset()
        raise
    return connection


async def _start_tls(connection: Connection, relay: Relay) -> str:
    """The version. _TlsFailed; OSError where the connection ended before."""
    code, lines = await connection.ask(b"STARTTLS\r\n", relay.command_s)
    if code != 220:
        raise _TlsFailed(f"STARTTLS was refused with {code} {text_of(lines)}")
    try:
        return await connection.start_tls(_context(relay), relay.host, relay.command_s)
    except ssl.SSLError as error:
        raise _TlsFailed(error.reason or str(error)) from error
    except (OSError, ValueError) as error:  # ValueError: a host's name that TLS cannot name
        raise _TlsFailed(str(error) or "no answer in time") from error


async def _dial(relay: Relay) -> socket.socket:
    """A connected socket, each of the host's addresses tried in turn (RFC 5321 §5.1). OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    failed: OSError = OSError("the host has no address that ours can reach")
    sources = {socket.AF_INET if ip_address(source).version == 4 else socket.AF_INET6: source for source in relay.sources}
    for family, address in await _addresses(relay):
        if sources and family not in sources:
            continue
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if sources:
                sock.bind((sources[family], 0))
            # A closed socket, also that of a killed process, sends RST at once: nothing that waits in the kernel still goes out.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: a peer that acknowledges nothing for so long is gone (RFC 5482)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(relay.reply_s * 1000))
            async with asyncio.timeout(relay.connect_s):
                await loop.sock_connect(sock, address)
        except OSError as error:  # TimeoutError is one
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


async def _addresses(relay: Relay) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    if not relay.addresses:
        found = await asyncio.get_running_loop().getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]
    return [(socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6, (address, relay.port)) for address in relay.addresses]


async def _hello(connection: Connection, relay: Relay) -> Mapping[str, str]:
    """The extensions offered: none where the server only knows HELO (RFC 5321 §3.2)."""
    name = relay.ehlo.encode("ascii")
    code, lines = await connection.ask(b"EHLO %b\r\n" % name, relay.command_s)
    if code == 250:
        words = [line[4:].decode("ascii", "replace").strip().partition(" ") for line in lines[1:]]
        return {keyword.upper(): parameters.strip() for keyword, _, parameters in words}
    if code >= 500:
        code, lines = await connection.ask(b"HELO %b\r\n" % name, relay.command_s)
        if code == 250:
            return {}
    raise CannotConnect(f"{relay.host} refused our hello with {code} {text_of(lines)}")


def _context(relay: Relay) -> ssl.SSLContext:
    """TLS 1.2 or better; the certificate counts only where the policy requires TLS."""
    context = ssl.create_default_context(cafile=relay.tls_ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if relay.tls != "required":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
