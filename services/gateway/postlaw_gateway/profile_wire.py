"""Links to people's own details, and the language of their pages: dataclasses to protobuf and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from google.protobuf.message import Message

from postlaw.consent.v1 import consent_pb2


@dataclass(frozen=True, slots=True)
class ProfileLink:
    """Where a link leads. `kind`: details or address; `state`: open, used or expired; `problem`: why nothing was changed: stale, address,
    address_taken, details; empty where it was. `address` and `details` while it is open; `opt_out_token` once it is used."""

    kind: str
    state: str
    tenant_id: str
    address_key: bytes
    address: str
    details: Mapping[str, str]
    version: int
    done: bool
    address_asked: bool
    problem: str
    opt_out_token: str


def profile_link_asked_request(token: str, language: str) -> Message:
    return consent_pb2.RequestProfileLinkRequest(token=token, language=language)


def describe_profile_link_request(token: str) -> Message:
    return consent_pb2.DescribeProfileLinkRequest(token=token)


def use_profile_link_request(token: str, details: Mapping[str, str], address: str, if_version: int, language: str) -> Message:
    return consent_pb2.UseProfileLinkRequest(
        token=token,
        details=[consent_pb2.Detail(name=name, value=value) for name, value in details.items()],
        address=address,
        if_version=if_version,
        language=language,
    )


def profile_link(answer: Message) -> ProfileLink:
    it = cast(consent_pb2.ProfileLink, answer)
    return ProfileLink(
        kind=consent_pb2.ProfileLink.Kind.Name(it.kind).removeprefix("KIND_").lower(),
        state=consent_pb2.ProfileLink.State.Name(it.state).removeprefix("STATE_").lower(),
        tenant_id=it.tenant_id,
        address_key=it.address_key,
        address=it.address,
        details={detail.name: detail.value for detail in it.details},
        version=it.version,
        done=it.done,
        address_asked=it.address_asked,
        problem=consent_pb2.ProfileLink.Problem.Name(it.problem).removeprefix("PROBLEM_").lower() if it.problem else "",
        opt_out_token=it.opt_out_token,
    )


@dataclass(frozen=True, slots=True)
class LanguageKept:
    """`kept` off: nothing else is kept of the person, so neither is this. `already`: it was so before."""

    kept: bool
    already: bool


def keep_language_request(token: str, language: str) -> Message:
    return consent_pb2.KeepLanguageRequest(token=token, language=language)


def language_kept(answer: Message) -> LanguageKept:
    it = cast(consent_pb2.LanguageKept, answer)
    return LanguageKept(it.kept, it.already)
