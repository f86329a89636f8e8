"""A campaign and a person to render it for, and how a mail program reads the message."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage

from postlaw_sending.campaigns.domain.images import Image
from postlaw_sending.messages import CompiledCampaign, compile_campaign
from postlaw_sending.messages.return_path import ReturnPaths

TOKEN = b"v1.AAECAwQFBgcICQoLDA0ODw"
CAMPAIGN, LIST, SUBSCRIBER = "cmp_01m84s6memev1rrrm3cf6xsn86", "lst_01m84s6memev1rrrm3cf6xsn87", "sub_01m84s6mfrfwvr1ynydrhx30pw"
ADDRESS_KEY = bytes([1, *range(200, 232)])


class OneKey:
    async def get(self, name: str, version: int = 1, *, create: bool = True) -> bytes:
        return bytes(range(32))


def started_return_paths(host: str = "") -> ReturnPaths:
    """Under a key that is always the same."""
    paths = ReturnPaths(OneKey(), host)
    asyncio.run(paths.start())
    return paths


RETURN_PATHS = started_return_paths()


@dataclass(frozen=True)
class Person:
    address: str = "ada@example.com"
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    opt_out_token: bytes = TOKEN
    subscriber_id: str = SUBSCRIBER
    address_key: bytes = ADDRESS_KEY
    footer: int = 0


def campaign(
    subject: str = "Hello {{ name }}",
    html: str = "<html><body><p>Dear {{ name }}</p></body></html>",
    text: str = "Dear {{ name }},\n\nit is spring.\n",
    sender_name: str = "Blumen & Söhne",
    sender_address: str = "post@blumen.example",
    reply_to: str = "",
    postal_address: str = "Gartenweg 1\n12345 Berlin\nGermany",
    contact: str = "Tel. +49 30 123456",
    list_name: str = "Spring news",
    return_paths: ReturnPaths = RETURN_PATHS,
    images: Sequence[Image] = (),
    answers_to_us: bool = False,
    campaign_id: str = CAMPAIGN,
) -> CompiledCampaign:
    return compile_campaign(
        subject=subject,
        html=html,
        text=text,
        images=images,
        sender_name=sender_name,
        sender_address=sender_address,
        reply_to=reply_to,
        postal_address=postal_address,
        contact=contact,
        list_name=list_name,
        campaign_id=campaign_id,
        list_id=LIST,
        public_url="https://mail.example.net/",
        return_paths=return_paths,
        answers_to_us=answers_to_us,
        now=lambda: 1_800_000_000.5,
    )


def parsed(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return lines(body.get_content())


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
