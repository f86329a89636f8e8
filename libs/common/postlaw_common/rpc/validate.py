"""A request against its contract: the field option `postlaw.options.v1.field` (required, max_length, max_items, pattern).

The checks of a message type are compiled once. A type without any, in itself or below, costs one look in a dict.
Paths are in the contract's names: `template.subject`, `recipients[3].address`. Values never stand in an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from postlaw.options.v1 import options_pb2
from postlaw_common.errors import FieldError, Invalid

Check = Callable[[Any, str, list[FieldError]], None]
_SHOWN = 50  # wrong fields that one answer names

_compiled: dict[str, list[Check]] = {}


def validate(message: Message) -> None:
    """Raises Invalid with every wrong field (the first 50)."""
    checks = _compiled.get(message.DESCRIPTOR.full_name)
    if checks is None:
        checks = compile_checks(cast("Descriptor", message.DESCRIPTOR))
    if not checks:
        return
    wrong: list[FieldError] = []
    for check in checks:
        check(message, "", wrong)
    if wrong:
        first = wrong[0]
        more = f" ({len(wrong)} fields are wrong)" if len(wrong) > 1 else ""
        raise Invalid(f"{first.field}: {first.message}{more}", fields=wrong[:_SHOWN])


def compile_checks(descriptor: Descriptor) -> list[Check]:
    """The checks of a message type and all types below it; the same list at every call."""
    known = _compiled.get(descriptor.full_name)
    if known is not None:
        return known
    needed = _types_with_checks(descriptor)
    for found in _reachable(descriptor).values():
        if found.full_name not in _compiled:
            _compiled[found.full_name] = _checks_of(found, needed)
    return _compiled[descriptor.full_name]


def _message_of(field: FieldDescriptor) -> Descriptor | None:
    """The message type that a field holds, or a map's values."""
    if field.message_type is None:
        return None
    if field.message_type.GetOptions().map_entry:
        return field.message_type.fields_by_name["value"].message_type
    return field.message_type


def _reachable(descriptor: Descriptor) -> dict[str, Descriptor]:
    found = {descriptor.full_name: descriptor}
    waiting = [descriptor]
    while waiting:
        for field in waiting.pop().fields:
            below = _message_of(field)
            if below is not None and below.full_name not in found:
                found[below.full_name] = below
                waiting.append(below)
    return found


def _types_with_checks(descriptor: Descriptor) -> set[str]:
    """Those types that hold a checked field in themselves or anywhere below (types may refer to each other in circles)."""
    return {
        name
        for name, found in _reachable(descriptor).items()
        if any(_policy(field) for below in _reachable(found).values() for field in below.fields)
    }


def _policy(field: FieldDescriptor) -> options_pb2.FieldPolicy | None:
    options = field.GetOptions()
    if not options.HasExtension(options_pb2.field):
        return None
    policy = options.Extensions[options_pb2.field]
    return policy if policy.required or policy.max_length or policy.max_items or policy.pattern else None


def _checks_of(descriptor: Descriptor, needed: set[str]) -> list[Check]:
    checks: list[Check] = []
    for field in descriptor.fields:
        policy = _policy(field)
        if policy is not None:
            checks.extend(_field_checks(field, policy))
        below = _message_of(field)
        if below is not None and below.full_name in needed:
            checks.append(_nested(field, below.full_name))
    return checks


def _field_checks(field: FieldDescriptor, policy: options_pb2.FieldPolicy) -> list[Check]:
    name = field.name
    checks: list[Check] = []
    if policy.required:
        checks.append(_required_presence(name) if field.has_presence else _required_value(name))
    if policy.max_items and field.is_repeated:
        checks.append(_max_items(name, policy.max_items))
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    holder = field.message_type.fields_by_name["value"] if is_map and field.message_type is not None else field
    kind = holder.type
    if kind in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        unit = "characters" if kind == FieldDescriptor.TYPE_STRING else "bytes"
        faults: list[tuple[Callable[[Any], bool], str]] = []
        if policy.max_length:
            longest = policy.max_length
            faults.append((lambda value: len(value) > longest, f"must have at most {longest} {unit}"))
        if policy.pattern and kind == FieldDescriptor.TYPE_STRING:
            whole = re.compile(policy.pattern, re.ASCII).fullmatch
            faults.append((lambda value: value != "" and whole(value) is None, f"must match {policy.pattern}"))
        for is_wrong, message in faults:
            if is_map:
                checks.append(_each_value(name, is_wrong, message))
            elif field.is_repeated:
                checks.append(_each_item(name, is_wrong, message))
            else:
                checks.append(_single(name, is_wrong, message))
    return checks


def _required_presence(name: str) -> Check:
    def check(message: Any, path: str, wrong: list[FieldError]) -> None:
        if not message.HasField(name):
            wrong.append(FieldError(path + name, "is required"))

    return check


def _required_value(name: str) -> Check:
    def check(message: Any, path: str, wrong: list[FieldError]) -> None:
        if not getattr(message, name):
            wrong.append(FieldError(path + name, "is required"))

    return check


def _max_items(name: str, most: int) -> Check:
    def check(message: Any, path: str, wrong: list[FieldError]) -> None:
        if len(getattr(message, name)) > most:
            wrong.append(FieldError(path + name, f"must have at most {most} items"))

    return check


def _single(name: str, is_wrong: Callable[[Any], bool], said: str) -> Check:
    def check(message: Any, path: str, wrong: list[FieldError]) -> None:
        if is_wrong(getattr(message, name)):
            wrong.append(FieldError(path + name, said))

    return check


def _each_item(name: str, is_wrong: Callable[[Any], bool], said: str) -> Check:
    def check(message: Any, path: str, wrong: list[FieldError]) -> None:
        wrong.extend(FieldError(f"{path}{name}[{i}]", said) for i, item in enumerate(getattr(message, name)) if is_wrong(item))

    return check


def _each_value(name: str, is_wrong: Callable[[Any], bool], said: str) -> Check:
    # A map's keys are the customer's own words, so the path stops at the map.
    def check(message: Any, path: str, wrong: list[FieldError]) -> None:
        if any(is_wrong(value) for value in getattr(message, name).values()):
            wrong.append(FieldError(path + name, f"each value {said}"))

    return check


def _nested(field: FieldDescriptor, below: str) -> Check:
    name = field.name
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry

    def one(message: Any, path: str, wrong: list[FieldError]) -> None:
        if message.HasField(name):
            for check in _compiled[below]:
                check(getattr(message, name), f"{path}{name}.", wrong)

    def many(message: Any, path: str, wrong: list[FieldError]) -> None:
        items = getattr(message, name)
        for i, item in enumerate(items.values() if is_map else items):
            for check in _compiled[below]:
                check(item, f"{path}{name}[{i}].", wrong)

    return many if field.is_repeated else one
