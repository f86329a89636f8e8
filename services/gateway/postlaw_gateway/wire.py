"""The gateway's own few messages: what identity issues, what the security topic carries, what a token stands for.

Longer than most: the one module of the gateway that knows the contracts' messages, a few lines for each page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from google.protobuf.message import Message

from postlaw.audit.v1 import audit_pb2
from postlaw.consent.v1 import consent_pb2
from postlaw.identity.v1 import context_pb2, identity_pb2
from postlaw.options.v1 import options_pb2
from postlaw.sending.v1 import sending_pb2
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw_common.caller import Actor, Caller

SECURITY_TOPIC = audit_pb2.AccessRefused.DESCRIPTOR.GetOptions().Extensions[options_pb2.event].topic
SECURITY_TYPE = audit_pb2.AccessRefused.DESCRIPTOR.GetOptions().Extensions[options_pb2.event].type
ACCESS_TOPIC = audit_pb2.PersonalDataRead.DESCRIPTOR.GetOptions().Extensions[options_pb2.event].topic
READ_TYPE = audit_pb2.PersonalDataRead.DESCRIPTOR.GetOptions().Extensions[options_pb2.event].type
IDENTITY_TOPIC = identity_pb2.ApiKeyRevoked.DESCRIPTOR.GetOptions().Extensions[options_pb2.event].topic
REVOKED_TYPE = identity_pb2.ApiKeyRevoked.DESCRIPTOR.GetOptions().Extensions[options_pb2.event].type


def _actor(actor: context_pb2.Actor) -> Actor:
    return Actor(context_pb2.Actor.Kind.Name(actor.kind).removeprefix("KIND_").lower(), actor.id)


def issued_caller(issued: Message) -> tuple[Caller, int]:
    """(the caller, when its context ends in microseconds since the epoch) of an IssuedContext."""
    answer = cast(identity_pb2.IssuedContext, issued)
    context = answer.context
    caller = Caller(
        tenant_id=context.tenant_id,
        actor=_actor(context.actor),
        on_behalf_of=_actor(context.on_behalf_of) if context.HasField("on_behalf_of") else None,
        scopes=frozenset(context.scopes),
        credential_id=context.credential_id,
        signed=answer.signed.SerializeToString(),
    )
    return caller, context.expires_at.ToMicroseconds()


def authenticate_request(secret: str) -> Message:
    return identity_pb2.AuthenticateApiKeyRequest(secret=secret)


def tenant_request(tenant_id: str) -> Message:
    return identity_pb2.GetTenantRequest(tenant_id=tenant_id)


@dataclass(frozen=True, slots=True)
class Sender:
    """A customer as a recipient may know it. Empty where it could not be had."""

    name: str = ""
    postal_address: str = ""
    contact: str = ""

    @property
    def can_be_reached(self) -> bool:
        """By post and in another way, as CASL s. 6(2)(b) and its regulations s. 2 ask of who wants a consent."""
        return bool(self.postal_address and self.contact)


def sender(tenant: Message) -> Sender:
    it = cast(identity_pb2.Tenant, tenant)
    return Sender(it.name, it.postal_address, it.sender_identity.contact)


def revoked_key_id(data: bytes) -> str:
    """The id of the API key that an ApiKeyRevoked names."""
    return identity_pb2.ApiKeyRevoked.FromString(data).api_key.api_key_id


def access_refused(
    tenant_id: str, credential_id: str, kind: str, method: str, path: str, object_id: str, times: int, object_ids: Iterable[str]
) -> bytes:
    return audit_pb2.AccessRefused(
        tenant_id=tenant_id,
        credential_id=credential_id,
        kind=kind,
        method=method,
        path=path,
        object_id=object_id,
        times=times,
        object_ids=object_ids,
    ).SerializeToString()


def personal_data_read(
    tenant_id: str,
    credential_id: str,
    operation: str,
    path: str,
    address_keys: Iterable[str | bytes],
    subscriber_ids: Iterable[str | bytes],
    object_id: str,
) -> bytes:
    return audit_pb2.PersonalDataRead(
        tenant_id=tenant_id,
        credential_id=credential_id,
        operation=operation,
        path=path,
        address_keys=cast("Iterable[bytes]", address_keys),
        subscriber_ids=cast("Iterable[str]", subscriber_ids),
        object_id=object_id,
    ).SerializeToString()


@dataclass(frozen=True, slots=True)
class Link:
    """What an unsubscribe link stands for. `topic` and `brand` are set where the scope is one; `everything` where it is all mail;
    `list_name` where the scope is a list whose name is known."""

    tenant_id: str
    topic: str
    everything: bool
    already_withdrawn: bool
    list_name: str = ""
    address_key: bytes = b""
    brand: str = ""


def describe_request(token: str) -> Message:
    return consent_pb2.DescribeTokenRequest(token=token)


def link(description: Message) -> Link:
    it = cast(consent_pb2.TokenDescription, description)
    return Link(it.tenant_id, it.scope.topic, it.scope.everything, it.already_withdrawn, it.list_name, it.address_key, it.scope.brand)


def masked_address_request(tenant_id: str, address_key: bytes) -> Message:
    return subscribers_pb2.GetMaskedAddressRequest(tenant_id=tenant_id, address_key=address_key)


def masked_address(answer: Message) -> tuple[str, str]:
    """(masked, the language that the person chose)"""
    it = cast(subscribers_pb2.MaskedAddress, answer)
    return it.masked, it.language


def withdraw_request(token: str, *, one_click: bool, everything: bool) -> Message:
    route = consent_pb2.ROUTE_ONE_CLICK if one_click else consent_pb2.ROUTE_PAGE
    return consent_pb2.WithdrawByTokenRequest(token=token, route=route, everything=everything)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a person gets for a withdrawal. `withdrawn_at` is RFC 3339 in UTC, and so is `relay_until`, until when up to `relay_may_hold`
    messages that left before may still arrive ("" for none)."""

    event_id: str
    stopped: bool
    withdrawn_at: str
    everything: bool
    already_withdrawn: bool
    relay_may_hold: int = 0
    relay_until: str = ""


def receipt(withdrawal: Message) -> Receipt:
    it = cast(consent_pb2.Withdrawal, withdrawal)
    stopped = it.outcome == consent_pb2.OUTCOME_STOPPED
    until = it.relay_until.ToJsonString() if it.relay_may_hold else ""
    return Receipt(
        it.event_id, stopped, it.withdrawn_at.ToJsonString(), it.scope.everything, it.already_withdrawn, it.relay_may_hold, until
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """A list, topic or brand; `scope` is `list:lst_…`, `topic:news` or `brand:Acme`. `list_name` is empty where it is not known."""

    scope: str
    list_name: str
    open: bool


@dataclass(frozen=True, slots=True)
class Preferences:
    """`paused_until`: RFC 3339 in UTC, empty for no end. `tracking`: unsaid, given or refused. `brand`: of the link's list, empty for
    none."""

    tenant_id: str
    address_key: bytes
    choices: tuple[Choice, ...]
    everything_stopped: bool
    paused: bool
    paused_until: str
    tracking: str
    brand: str = ""
    brand_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """`act`: stop, start, pause, resume, tracking_off or tracking_on; `scope`: of the first two, "everything" where it is that."""

    act: str
    scope: str = ""
    pause_days: int = 0
    wording: str = ""
    language: str = ""
    contact_shown: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """`recorded`: what stops could not be confirmed to have stopped. `already`: it stood so before."""

    recorded: bool
    already: bool
    preferences: Preferences


_TRACKING = {
    consent_pb2.Preferences.TRACKING_UNSPECIFIED: "unsaid",
    consent_pb2.Preferences.TRACKING_GIVEN: "given",
    consent_pb2.Preferences.TRACKING_REFUSED: "refused",
}


def describe_preferences_request(token: str) -> Message:
    return consent_pb2.DescribePreferencesRequest(token=token)


def preferences(answer: Message) -> Preferences:
    it = cast(consent_pb2.Preferences, answer)
    return Preferences(
        tenant_id=it.tenant_id,
        address_key=it.address_key,
        choices=tuple(Choice(_scope_text(one.scope), one.list_name, one.open) for one in it.choices),
        everything_stopped=it.everything_stopped,
        paused=it.paused,
        paused_until=it.paused_until.ToJsonString() if it.HasField("paused_until") else "",
        tracking=_TRACKING[it.tracking],
        brand=it.brand,
        brand_stopped=it.brand_stopped,
    )


def change_request(token: str, change: Change) -> Message:
    return consent_pb2.ChangePreferencesRequest(
        token=token,
        change=consent_pb2.ChangePreferencesRequest.Change.Value(f"CHANGE_{change.act.upper()}"),
        scope=_scope_of(change.scope),
        pause_days=change.pause_days,
        wording=change.wording,
        language=change.language,
        contact_shown=change.contact_shown,
    )


def changed(answer: Message) -> Changed:
    it = cast(consent_pb2.PreferencesChanged, answer)
    return Changed(it.outcome == consent_pb2.OUTCOME_RECORDED, it.already, preferences(it.preferences))


def _scope_of(text: str) -> consent_pb2.Scope:
    """Empty, which consent refuses, where the text is none of a choice's."""
    kind, _, id = text.partition(":")
    if kind == "list":
        return consent_pb2.Scope(list_id=id)
    if kind == "topic":
        return consent_pb2.Scope(topic=id)
    if kind == "brand":
        return consent_pb2.Scope(brand=id)
    return consent_pb2.Scope(everything=True) if text == "everything" else consent_pb2.Scope()


def _scope_text(scope: consent_pb2.Scope) -> str:
    match scope.WhichOneof("of"):
        case "topic":
            return f"topic:{scope.topic}"
        case "brand":
            return f"brand:{scope.brand}"
        case _:
            return f"list:{scope.list_id}"


def hit_request(token: str, link: int | None, user_agent: str, *, head: bool, prefetch: bool) -> Message:
    """`link` None: a pixel."""
    return sending_pb2.RecordHitRequest(
        token=token,
        kind=sending_pb2.Hit.KIND_OPEN if link is None else sending_pb2.Hit.KIND_CLICK,
        link=link or 0,
        user_agent=user_agent,
        head=head,
        prefetch=prefetch,
    )


def report_request(provider: str, headers: Mapping[str, str], body: bytes) -> Message:
    return sending_pb2.TakeProviderReportRequest(provider=provider, headers=headers, body=body)


def log_file_request(path: str) -> Message:
    return audit_pb2.GetLogFileRequest(path=path)


def log_file_bytes(piece: Message) -> bytes:
    assert isinstance(piece, audit_pb2.LogFilePiece)
    return piece.data


def hit_target(answer: Message) -> str:
    return cast(sending_pb2.RecordHitResponse, answer).target


@dataclass(frozen=True, slots=True)
class Form:
    """A form as everybody may see it."""

    form_id: str
    tenant_id: str
    list_name: str
    language: str
    wording: str
    purposes: tuple[str, ...]
    single_opt_in: bool
    sender_name: str
    sender_address: str
    postal_address: str
    retired: bool = False


def form_request(form_id: str) -> Message:
    return consent_pb2.GetFormRequest(form_id=form_id)


def form(answer: Message) -> Form:
    it = cast(consent_pb2.Form, answer)
    return Form(
        form_id=it.form_id,
        tenant_id=it.tenant_id,
        list_name=it.list_name,
        language=it.language,
        wording=it.wording,
        purposes=tuple(it.purposes),
        single_opt_in=it.single_opt_in,
        sender_name=it.sender.name,
        sender_address=it.sender.address,
        postal_address=it.sender.postal_address,
        retired=it.HasField("retired_at"),
    )


def sign_up_request(form_id: str, address: str, held: Sequence[str], language: str, ip: str, user_agent: str, method: str) -> Message:
    return consent_pb2.SignUpRequest(
        form_id=form_id, address=address, held=held, language=language, ip=ip, user_agent=user_agent, method=method
    )


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the link of a confirmation mail stands for. `state`: open, confirmed, expired or void; `already`: confirmed before this."""

    state: str
    already: bool
    form: Form
    address_key: bytes


def describe_confirmation_request(token: str) -> Message:
    return consent_pb2.DescribeConfirmationRequest(token=token)


def confirm_request(token: str, *, contact_shown: bool) -> Message:
    return consent_pb2.ConfirmSignUpRequest(token=token, contact_shown=contact_shown)


def confirmation(answer: Message) -> Confirmation:
    it = cast(consent_pb2.Confirmation, answer)
    state = consent_pb2.Confirmation.State.Name(it.state).removeprefix("STATE_").lower()
    return Confirmation(state, it.already, form(it.form), it.address_key)


def import_settings_part() -> tuple[Message, Message]:
    """(a CreateImportRequest, its settings to be filled)."""
    part = subscribers_pb2.CreateImportRequest()
    part.settings.SetInParent()
    return part, part.settings


def names_where_people_go(settings: Message) -> bool:
    """Every import names its list, but that of people who must not be mailed."""
    told = cast(subscribers_pb2.ImportSettings, settings)
    return bool(told.list_id) or told.HasField("suppress")


def import_chunk_part(chunk: bytes) -> Message:
    return subscribers_pb2.CreateImportRequest(chunk=chunk)


def file_bytes(chunk: Message) -> bytes:
    """Of a file's next part, whichever service sends it."""
    return cast("audit_pb2.ReportPiece", chunk).data


@dataclass(frozen=True, slots=True)
class TeamLink:
    """What the link that is mailed to a team address stands for."""

    tenant_id: str
    address_key: bytes
    confirmed: bool
    expired: bool


def team_token_request(token: str) -> Message:
    return sending_pb2.TeamAddressTokenRequest(token=token)


def team_link(answer: Message) -> TeamLink:
    it = cast(sending_pb2.TeamAddressLink, answer)
    return TeamLink(it.tenant_id, it.address_key, it.confirmed, it.expired)
