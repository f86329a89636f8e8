"""What the fields that the law reads mean (field_meanings.toml), for the OpenAPI document.

The contract says it to who builds the mesh; this says it to who calls the door. Keys are message and field as the contract names them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from google.protobuf.descriptor import FieldDescriptor


def meaning_of(field: FieldDescriptor) -> str:
    """ "" where the field's name says it all."""
    message = field.containing_type
    return meanings().get(f"{message.name}.{field.name}", "") if message is not None else ""


@cache
def meanings() -> Mapping[str, str]:
    """By "Message.field"."""
    text = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {field: meaning.format_map(text["shared"]) for field, meaning in text["meanings"].items()}
