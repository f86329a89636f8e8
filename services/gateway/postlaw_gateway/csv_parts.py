"""An import as multipart/form-data (RFC 7578), read as it comes: small parts with the settings first, then the part `file`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, cast

from google.protobuf.descriptor import Descriptor
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from postlaw_common.errors import Invalid, TooLarge
from postlaw_gateway.json_in import parse_object

_MAX_SETTINGS = 64 * 1024  # of all parts before the file


class CsvParts:
    """`await settings()` first: (name, value) pairs, dotted where they lie deeper; then `file()`: its bytes."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise Invalid("The content type multipart/form-data needs a boundary.")
        self._body = body
        self._pairs: list[tuple[str, str]] = []
        self._file: deque[bytes] = deque()
        self._in_file = False
        self._file_seen = False
        self._ended = False
        self._size = 0
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    async def settings(self) -> list[tuple[str, str]]:
        """Everything before the file. A part named `settings` is a JSON object; every other part is one setting."""
        while not self._file_seen and await self._feed():
            pass
        if not self._file_seen:
            raise Invalid("There is no part named file.")
        return self._pairs

    async def file(self) -> AsyncIterator[bytes]:
        """The file's bytes. Raises Invalid where the body breaks off, or where settings follow the file."""
        while True:
            while self._file:
                yield self._file.popleft()
            if not await self._feed():
                break
        if not self._ended:
            raise Invalid("The multipart body breaks off before its last boundary.")

    async def _feed(self) -> bool:
        piece = await anext(self._body, None)
        if piece is None:
            return False
        try:
            self._parser.write(piece)
        except MultipartParseError:
            raise Invalid("The body is not multipart/form-data as its content type says.") from None
        return True

    def _on_part_begin(self) -> None:
        self._headers = {}
        self._value = bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._count(end - start)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._count(end - start)

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._file_seen:
            raise Invalid("The part named file must be the last one: what follows it would come too late.")
        if self._name == "file":
            self._in_file = self._file_seen = True
            filename = options.get(b"filename", b"").decode("utf-8", "replace")
            if filename and not any(name == "filename" for name, _ in self._pairs):
                self._pairs.append(("filename", filename))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file.append(data[start:end])
        else:
            self._count(end - start)
            self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._in_file:
            self._in_file = False
            return
        value = bytes(self._value)
        if self._name == "settings":
            self._pairs += _flat(parse_object(value), "")
        else:
            self._pairs.append((self._name, _decoded(value)))

    def _on_end(self) -> None:
        self._ended = True

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > _MAX_SETTINGS:
            raise TooLarge("The parts before the file have at most 64 KiB together.")


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Invalid("A setting is not UTF-8.") from None


def _flat(value: dict[str, Any], path: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, item in value.items():
        if isinstance(item, dict):
            pairs += _flat(item, f"{path}{name}.")
        else:
            pairs.append((path + name, item))
    return pairs


def settings_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The settings as JSON would have them: `consent.source` is the field `source` of `consent`. Raises Invalid."""
    settings: dict[str, Any] = {}
    for name, value in pairs:
        *path, last = name.split(".", 2)
        holder = settings
        for step in path:
            holder = holder.setdefault(step, {})
            if not isinstance(holder, dict):
                raise Invalid(f"The setting {name[:64]} clashes with another.")
        if last in holder:
            raise Invalid(f"The setting {name[:64]} is given twice.")
        holder[last] = value
    return settings


def lists_of(descriptor: Descriptor, settings: dict[str, Any]) -> dict[str, Any]:
    """The same, with a list where the contract has one and text was given: its items with commas between, as a query has them."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        field = descriptor.fields_by_name.get(name)
        if field is not None and field.is_repeated and isinstance(value, str):
            found[name] = [item.strip() for item in value.split(",")] if value.strip() else []
        elif field is not None and field.message_type is not None and isinstance(value, dict):
            found[name] = lists_of(field.message_type, cast("dict[str, Any]", value))
        else:
            found[name] = value
    return found
