"""Files of an import: which encodings, separators and sizes are read, and what a file that cannot be read says."""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.errors import Invalid, TooLarge
from postlaw_subscribers.settings import SubscribersSettings

from .import_files import PEOPLE, counts, rows


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (codecs.BOM_UTF8 + "email;name\nann@example.com;Zoë\n".encode(), {}),
        ("email\tname\r\nann@example.com\tZoë\r\n".encode("utf-16"), {}),
        ("email,name\rann@example.com,Zoë\r".encode("latin-1"), {"encoding": "ISO-8859-1"}),
        ("Kontakt,name\nann@example.com,Zoë".encode(), {"address_column": "kontakt"}),
    ],
)
async def test_encodings_separators_and_line_ends_are_understood(world: Any, data: bytes, settings: dict[str, str]) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, data, **settings)
    assert counts(done) == (1, 1, 0, 0, 0), done.failure
    [member] = await world.audience(list_id)
    assert dict(member.fields) == {"name": "Zoë"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "The file is empty"),
        (b"\n\n", "The file is empty"),
        (b"ann@example.com,Ann\nbob@example.com,Bob\n", "looks like a person, not like a header"),
        (b"email,name,Name\na@example.com,x,y\n", "Two columns are called"),
        (b",".join(b"c%d" % i for i in range(101)) + b",email\n", "at most 100"),
        (b"email,name\nann@example.com,Zo\xeb\n", "Byte 30 of the file is not UTF-8"),
        (codecs.BOM_UTF8 + b"email,name\nann@example.com,Zo\xeb\n", "Byte 33 of the file is not UTF-8"),
        (b"email,name\n" + b"ann@example.com,x\n" * 10_000 + b"\xff", "Byte 180012 of the file is not UTF-8"),
        ("email,name\nann@example.com,x\n".encode("utf-16-le"), "UTF-16 without a byte-order mark"),
        (b"x" * 300_000, "header line cannot be read"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_whole_and_says_why(world: Any, data: bytes, said: str) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, data)
    assert done.state == pb.Import.STATE_FAILED
    assert said in done.failure
    assert await world.audience(list_id) == []


async def test_headers_only_is_done_with_no_rows(world: Any) -> None:
    done = await world.imported(await world.make_list(), b"email,name\n")
    assert (done.state, done.rows) == (pb.Import.STATE_DONE, 0)


async def test_an_unknown_encoding_and_an_upload_that_is_too_large_are_refused(world: Any) -> None:
    list_id = await world.make_list()
    with pytest.raises(Invalid):
        await world.upload(list_id, PEOPLE, encoding="ebcdic")
    await world.stop()
    world.settings = SubscribersSettings(upload_max_bytes=2000)
    await world.start()
    with pytest.raises(TooLarge):
        await world.upload(list_id, rows(1000))


def resident_mb(name: str) -> float:
    """Of this process: VmRSS now, VmHWM at its highest since `forget_peak`."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].split()[0]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # proc_pid_clear_refs(5)


async def test_a_line_of_a_gigabyte_costs_one_row_and_no_memory(world: Any) -> None:
    list_id = await world.make_list()
    piece = b"x" * (1 << 20)

    async def file() -> AsyncIterator[bytes]:
        yield b"email,name\nann@example.com,Ann\n"
        for _ in range(1024):
            yield piece
        yield b"\nbob@example.com,Bob\n"

    forget_peak()
    before = resident_mb("VmRSS")
    done = await world.finished(await world.upload_stream(list_id, file()), within_s=240)
    assert counts(done) == (3, 2, 0, 0, 1)
    assert dict(done.refused_by_reason) == {"row_too_long": 1}
    assert resident_mb("VmHWM") - before < 100
