"""The mesh's services as the gateway sees them: their methods by descriptor, and calls to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import grpc.aio
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from postlaw.audit.v1 import audit_pb2
from postlaw.consent.v1 import consent_pb2
from postlaw.identity.v1 import identity_pb2
from postlaw.options.v1 import options_pb2
from postlaw.sending.v1 import sending_pb2
from postlaw.subscribers.v1 import subscribers_pb2

_FILES: dict[str, FileDescriptor] = {
    "identity": identity_pb2.DESCRIPTOR,
    "subscribers": subscribers_pb2.DESCRIPTOR,
    "consent": consent_pb2.DESCRIPTOR,
    "sending": sending_pb2.DESCRIPTOR,
    "audit": audit_pb2.DESCRIPTOR,
}

Channel = Callable[[str], grpc.aio.Channel]


@dataclass(frozen=True, slots=True)
class Method:
    """One gRPC method, with what its contract says about who may call it."""

    service: str  # as in `platform.channel(service)`
    path: str  # "/postlaw.sending.v1.SendingService/GetCampaign"
    request: Descriptor
    response: Descriptor
    needs_context: bool
    scopes: frozenset[str]

    def new_request(self) -> Message:
        return GetMessageClass(self.request)()


@cache
def method(name: str) -> Method:
    """The method that `sending.GetCampaign` means. KeyError where the contract has no such method."""
    service, _, verb = name.partition(".")
    for services in _FILES[service].services_by_name.values():
        descriptor = services.methods_by_name.get(verb)
        if descriptor is not None:
            return _method(service, descriptor)
    raise KeyError(name)


def _method(service: str, descriptor: MethodDescriptor) -> Method:
    policy = descriptor.GetOptions().Extensions[options_pb2.method]
    return Method(
        service=service,
        path=f"/{descriptor.containing_service.full_name}/{descriptor.name}",
        request=descriptor.input_type,
        response=descriptor.output_type,
        needs_context=policy.context,
        scopes=frozenset(policy.scopes),
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """What the contract says of one field. `restricted`: a key, secret, token or sealed evidence, which never crosses the door.
    `hex`: bytes that are a hash."""

    restricted: bool
    required: bool
    max_length: int
    max_items: int
    pattern: str
    hex: bool


@cache
def policy_of(field: FieldDescriptor) -> Policy:
    """The policy of one field."""
    policy = field.GetOptions().Extensions[options_pb2.field]
    return Policy(
        restricted=policy.data_class == options_pb2.DATA_CLASS_RESTRICTED,
        required=policy.required,
        max_length=policy.max_length,
        max_items=policy.max_items,
        pattern=policy.pattern,
        hex=policy.hex,
    )


class Calls:
    """Calls over the mesh's channels, in the current caller's name. Callables are made once a method."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._unary: dict[str, Any] = {}

    async def unary(self, method: Method, request: Message, *, timeout: float | None = None) -> Message:
        """The answer. Raises what `postlaw_common.errors` has for the status that came back."""
        call = self._unary.get(method.path)
        if call is None:
            call = self._unary[method.path] = self._channel(method.service).unary_unary(
                method.path, request_serializer=_serialize, response_deserializer=GetMessageClass(method.response).FromString
            )
        return await (call(request, timeout=timeout) if timeout else call(request))

    async def responses(self, method: Method, request: Message, *, timeout: float) -> AsyncIterator[Message]:
        """A stream of answers."""
        call = self._channel(method.service).unary_stream(
            method.path, request_serializer=_serialize, response_deserializer=GetMessageClass(method.response).FromString
        )
        async for answer in call(request, timeout=timeout):
            yield answer

    async def upload(self, method: Method, requests: AsyncIterator[Message], *, timeout: float) -> Message:
        """One answer to a stream of requests; the stream is drawn as the other side takes it."""
        call = self._channel(method.service).stream_unary(
            method.path, request_serializer=_serialize, response_deserializer=GetMessageClass(method.response).FromString
        )
        return await call(requests, timeout=timeout)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
