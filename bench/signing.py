"""A domain that signs, for a measurement: its records in a name server beside us, and how fast the cores sign by themselves."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.pool import Pool

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from postlaw_mesh.rest_client import RestClient
from postlaw_sending.testing.dns_server import DnsServer, dns_server

DOMAIN = "acme.example"  # what RestClient.create_campaign sends from
SIGN_FOR_S = 1.5


@contextmanager
def name_server() -> Generator[DnsServer]:
    """On a thread of its own: whoever measures may block."""
    started, ended = threading.Event(), threading.Event()
    running: list[DnsServer] = []

    async def serve() -> None:
        async with dns_server() as server:
            running.append(server)
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    started.wait()
    try:
        yield running[0]
    finally:
        ended.set()
        thread.join()


async def verified_domain(api: RestClient, names: DnsServer) -> None:
    """Registered, published, checked: from then on its mail is signed. RuntimeError where a check does not pass."""
    registered = await api.call("POST", "/v1/sender-domains", json={"domain": DOMAIN})
    for record in registered["dns_records"]:
        names.put_text(record["name"], record["value"])
    names.put_text(DOMAIN, "v=spf1 ip4:127.0.0.1 -all")
    names.put_text(f"_dmarc.{DOMAIN}", "v=DMARC1; p=reject")
    names.put(DOMAIN, "MX", f"10 mx.{DOMAIN}.")
    names.put(f"mx.{DOMAIN}", "A", "192.0.2.7")
    checked = await api.call("POST", f"/v1/sender-domains/{DOMAIN}/check")
    if checked["state"] != "verified":
        raise RuntimeError(f"the domain is {checked['state']}: {checked['checks']}")


def verifies(message: bytes, names: DnsServer) -> bool:
    """By dkimpy, over what the name server has."""

    def txt(name: bytes, timeout: int = 5) -> bytes | None:
        found = names.records.get((name.decode().removesuffix("."), "TXT"))
        return found[0].replace('" "', "").strip('"').encode() if found else None

    return bool(dkim.DKIM(message).verify(dnsfunc=txt))


def signing_rate(cores: int) -> float:
    """RSA-2048 signatures a second of so many processes side by side: what all cores can sign and nothing else. Blocks."""
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        _start(pool, cores)
        return sum(pool.map(_sign_for, [SIGN_FOR_S] * cores, chunksize=1))


def _start(pool: Pool, cores: int) -> None:
    """Each process has begun, so that none signs alone."""
    pool.map(_sign_for, [0.05] * cores, chunksize=1)


def _sign_for(seconds: float) -> float:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    data = b"x" * 1500  # about what the headers that a signature covers come to
    made, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        key.sign(data, PKCS1v15(), SHA256())
        made += 1
    return made / (time.perf_counter() - began)
