"""Sending's own settings, from `POSTLAW_SENDING_…`. Every description ends an error line after "give ", as the platform's do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from postlaw_sending.delivery.relay import Relay, TlsPolicy
from postlaw_sending.domains.checking import Expected
from postlaw_sending.domains.dns import Resolver
from postlaw_sending.mx.assembly import MxSettings
from postlaw_sending.mx.pools import parsed
from postlaw_sending.opinion.assembly import OpinionSettings
from postlaw_sending.returns.listener import Inbox
from postlaw_sending.returns.webhooks.taking import Secrets
from postlaw_sending.stop.relay_queue import LONGEST_S

ROLES = frozenset({"api", "planner", "worker", "returns"})


class SendingSettings(BaseSettings):
    """`role`: one process does everything, or some of four: the API with what answers people who say stop, the planner with what counts
    outcomes, delivery (which scales by itself), what comes back (which stands where the world's servers reach it)."""

    model_config = SettingsConfigDict(env_prefix="POSTLAW_SENDING_", env_ignore_empty=True, extra="ignore", frozen=True)

    role: str = Field(default="all", description="all, or some of api, planner, worker and returns, with commas between them")

    relay_host: str = Field(default="127.0.0.1", min_length=1, description="the host name of the server that takes our mail")
    relay_port: int = Field(default=2525, ge=1, le=65535, description="a port from 1 to 65535")
    relay_connections: int = Field(default=10, ge=1, le=1000, description="a number of connections from 1 to 1000")
    relay_depth: int = Field(default=8, ge=1, le=256, description="a number of transactions in flight on a connection, from 1 to 256")
    relay_tls: TlsPolicy = Field(default="opportunistic", description="none, opportunistic or required")
    relay_tls_ca: str = Field(default="", description="the PEM file of the authorities that the relay's certificate is held against")
    relay_ehlo: str = Field(default="localhost", min_length=1, description="the name that we greet the relay with")

    relay_queue_life: int = Field(
        default=0, ge=0, le=LONGEST_S,
        description="for how many seconds the relay keeps what it cannot hand on, 1209600 at most; or leave it out where it keeps nothing",
    )  # fmt: skip

    delivery: Literal["relay", "mx"] = Field(default="relay", description="relay, or mx to hand mail to the recipients' own servers")
    mx_port: int = Field(default=25, ge=1, le=65535, description="a port from 1 to 65535; the world's mail servers listen on 25")
    mx_connections: int = Field(default=200, ge=1, le=10_000, description="a number of connections at one time, from 1 to 10000")
    mx_tls: Literal["opportunistic", "encrypted"] = Field(
        default="opportunistic", description="opportunistic, or encrypted where nothing may leave in plaintext"
    )
    mx_private: Literal["allow", "deny"] = Field(
        default="deny", description="deny, or allow where mail is captured: whether servers at addresses that are not public are mailed to"
    )

    pools: str = Field(
        default="",
        description="the addresses that mail leaves from, by stream, like marketing=192.0.2.1,192.0.2.2;transactional=192.0.2.9; a new "
        "one with its first day, like 192.0.2.1@2026-11-20; or leave it out",
    )

    planner_backlog: int = Field(default=32, ge=1, le=10_000, description="how many batches to plan ahead per partition, from 1 to 10000")

    inbound: str = Field(default="", pattern=r"^(|[^:\s]+:\d{1,5})$", description="host:port where returned mail is taken, or leave it out")
    inbound_certificate: str = Field(default="", description="the PEM file of the certificate that is shown there, or leave it out")
    inbound_key: str = Field(default="", description="the PEM file of its key")
    return_host: str = Field(default="", pattern=r"^[A-Za-z0-9.-]*$", description="the host name that returns are sent to, or leave it out")

    webhook_ses_topics: str = Field(default="", description="the ARNs of the topics that Amazon SES reports to, with commas between them")
    webhook_sendgrid_key: str = Field(default="", description="SendGrid's verification key of its event webhook, in base64")
    webhook_postmark: str = Field(default="", description="user:password of Postmark's webhooks", repr=False)
    webhook_mailgun_key: str = Field(default="", description="Mailgun's signing key of its webhooks", repr=False)

    opinion_key: str = Field(default="", description="an Anthropic API key, or leave it out: no second opinion is then asked", repr=False)
    opinion_customers: str = Field(
        default="", description="the ids of customers whose region and sub-processors allow that their subjects are sent there, with commas"
    )
    opinion_prompt: str = Field(default="", description="the file of the prompt, once: it is then kept sealed in the store")
    opinion_model: str = Field(default="claude-haiku-4-5", min_length=1, description="the name of the model that is asked")
    opinion_url: str = Field(default="https://api.anthropic.com", pattern=r"^https?://\S+$", description="where its API is")
    opinion_a_day: int = Field(default=200, ge=0, le=1_000_000, description="how many questions a day may cost, over all customers")

    def second_opinion(self) -> OpinionSettings | None:
        """None: it is off."""
        customers = frozenset(_listed(self.opinion_customers))
        if not self.opinion_key or not customers:
            return None
        return OpinionSettings(self.opinion_key, self.opinion_url, self.opinion_model, customers, self.opinion_prompt, self.opinion_a_day)

    def webhook_secrets(self) -> Secrets:
        return Secrets(tuple(_listed(self.webhook_ses_topics)), self.webhook_sendgrid_key, self.webhook_postmark, self.webhook_mailgun_key)

    def inbox(self) -> Inbox | None:
        """None: returned mail is taken elsewhere, or nowhere."""
        if not self.inbound:
            return None
        host, _, port = self.inbound.rpartition(":")
        return Inbox(host, int(port), self.return_host or self.relay_ehlo, self.inbound_certificate, self.inbound_key)

    dns: str = Field(default="", description="name servers with commas between them, like 127.0.0.1:5353; empty: the system's")
    addresses: str = Field(default="", description="the IP addresses that our mail leaves from, with commas between them")
    spf_include: str = Field(default="", description="the name that customers' SPF records include")
    links_cname: str = Field(
        default="", description="the name that customers' own hosts for links lead to, where the door answers for them; or leave it out"
    )
    unverified_domains: Literal["allow", "deny"] = Field(
        default="deny",
        description="deny, or allow where all mail is captured: what becomes of campaigns from domains that are not verified",
    )

    fallback_from: str = Field(
        default="",
        pattern=r"^(|[A-Za-z0-9._+-]+@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+)$",
        description="an address of the operator's own domain, from which mails that people ask for go where their customer's domain is not "
        "verified; or leave it out: they then wait until it is",
    )

    webhooks_into_our_network: Literal["allow", "deny"] = Field(
        default="deny",
        description="deny, or allow in development: whether webhooks may lead to private addresses and be sent without TLS",
    )

    @field_validator("role")
    @classmethod
    def _are_roles(cls, value: str) -> str:
        if value != "all" and not (_listed(value) and set(_listed(value)) <= ROLES):
            raise ValueError("no such role")
        return value

    def has_role(self, role: str) -> bool:
        """Whether this process has that role."""
        return self.role == "all" or role in _listed(self.role)

    @property
    def only_delivers(self) -> bool:
        """Whether nothing else of sending is in this process, so that whoever says stop is answered by others."""
        return set(_listed(self.role)) == {"worker"}

    @field_validator("dns", "addresses")
    @classmethod
    def _are_servers(cls, value: str) -> str:
        Resolver(_listed(value))
        return value

    @field_validator("pools")
    @classmethod
    def _are_pools(cls, value: str) -> str:
        parsed(value)
        return value

    def resolver(self) -> Resolver:
        return Resolver(_listed(self.dns))

    def expected_of_domains(self) -> Expected:
        return Expected(_listed(self.addresses), self.spf_include.strip().lower(), self.relay_ehlo, self.links_cname.strip().lower())

    def mx(self) -> MxSettings | None:
        """None: all mail goes to the relay."""
        if self.delivery == "relay":
            return None
        return MxSettings(
            ehlo=self.relay_ehlo,
            own=frozenset(name.lower() for name in (self.relay_ehlo, self.return_host) if name),
            port=self.mx_port,
            connections=self.mx_connections,
            policy_port=443,
            tls=self.mx_tls,
            ca="",
            private=self.mx_private == "allow",
            pools=parsed(self.pools),
        )

    @property
    def declared_queue_life(self) -> int:
        """Seconds; 0 where no relay keeps anything. Straight to MX there is none: whoever takes a message is its last server or its own."""
        return self.relay_queue_life if self.delivery == "relay" else 0

    def relay(self) -> Relay:
        return Relay(
            host=self.relay_host,
            port=self.relay_port,
            connections=self.relay_connections,
            depth=self.relay_depth,
            tls=self.relay_tls,
            tls_ca=self.relay_tls_ca,
            ehlo=self.relay_ehlo,
        )


def _listed(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]
