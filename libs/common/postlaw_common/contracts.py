"""The contracts as this process can read them: every message of the package `postlaw`, used or not."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache

from google.protobuf.descriptor import Descriptor, FileDescriptor


def every_message() -> Iterator[Descriptor]:
    """Nested ones too."""
    import postlaw

    for module in pkgutil.walk_packages(postlaw.__path__, "postlaw."):
        if module.name.endswith("_pb2"):
            file: FileDescriptor = importlib.import_module(module.name).DESCRIPTOR
            for message in file.message_types_by_name.values():
                yield from _with_nested(message)


@cache
def event_topics() -> tuple[str, ...]:
    """The topics that events travel on, by the messages' own options, sorted."""
    from postlaw.options.v1 import options_pb2

    topics = {message.GetOptions().Extensions[options_pb2.event].topic for message in every_message()}
    return tuple(sorted(topics - {""}))


def _with_nested(message: Descriptor) -> Iterator[Descriptor]:
    yield message
    for nested in message.nested_types:
        yield from _with_nested(nested)
