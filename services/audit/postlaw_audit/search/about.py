"""Whom and what an event is about, by the names of its fields: a new event with such fields is found without a line here."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from postlaw.options.v1 import options_pb2
from postlaw_common.contracts import every_message

_NAMES = {
    "address_key": "people", "address_keys": "people", "subscriber_id": "subscribers", "subscriber_ids": "subscribers",
    "campaign_id": "campaigns", "object_id": "objects",
}  # fmt: skip
_DEEPEST = 2  # messages within messages: a hit of many, an answer's withdrawal
_Plan = tuple[tuple[tuple[str, str, bool], ...], tuple[tuple[str, bool, "_Plan"], ...]]


class About(NamedTuple):
    """Address keys, and ids, in the order in which the event has them."""

    people: list[bytes]
    subscribers: list[str]
    campaigns: list[str]
    objects: list[str]


@cache
def event_messages() -> dict[str, Descriptor]:
    """By an event's CloudEvents type, the message that it carries."""
    found = {message.GetOptions().Extensions[options_pb2.event].type: message for message in every_message()}
    found.pop("", None)
    return found


def about(type: str, data: bytes) -> About:
    """Of an event that is none of ours, or cannot be read: nothing."""
    found = About([], [], [], [])
    reading = _reading(type)
    if reading is not None:
        message, plan = reading
        try:
            _gather(message.FromString(data), plan, found)
        except DecodeError:
            return About([], [], [], [])
    return found


@lru_cache(256)
def _reading(type: str) -> tuple[builtins.type[Message], _Plan] | None:
    descriptor = event_messages().get(type)
    return (GetMessageClass(descriptor), _plan(descriptor, _DEEPEST)) if descriptor is not None else None


def _gather(message: Message, plan: _Plan, found: About) -> None:
    fields, nested = plan
    for name, kind, several in fields:
        value = getattr(message, name)
        if value:
            into = getattr(found, kind)
            into.extend(value) if several else into.append(value)
    for name, several, below in nested:
        if several:
            for one in getattr(message, name):
                _gather(one, below, found)
        elif message.HasField(name):
            _gather(getattr(message, name), below, found)


@cache
def _plan(descriptor: Descriptor, depth: int) -> _Plan:
    """Which fields to look at, and into which messages: those alone below which there are any."""
    fields = tuple((field.name, _NAMES[field.name], field.is_repeated) for field in descriptor.fields if field.name in _NAMES)
    return fields, tuple(_nested(descriptor, depth))


def _nested(descriptor: Descriptor, depth: int) -> Iterator[tuple[str, bool, _Plan]]:
    for field in descriptor.fields if depth else ():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            below = _plan(field.message_type, depth - 1)
            if below != ((), ()):
                yield field.name, field.is_repeated, below
