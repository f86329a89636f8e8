"""What an import leaves where others can read it: nothing of a person."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.testing.promises import promise


@promise("S2")
async def test_nothing_of_a_person_lies_in_the_clear(world: Any, tmp_path: Path) -> None:
    list_id = await world.make_list()
    row = b"quarzsand@example.com,Wolfdietrich,203.0.113.77,2024-03-01T10:11:12Z,https://quarzsand.example\n"
    await world.imported(
        list_id, b"email,name,ip,consented_at,form\n" + row + b"broken-quarzsand,Wolfdietrich,,,\n", filename="quarzsand.csv"
    )
    await world.stub().PutSubscriber(pb.PutSubscriberRequest(address="quarzsand2@example.com", fields={"name": "Wolfdietrich"}))
    await world.stop()
    for folder, _, files in os.walk(tmp_path):
        for name in files:
            data = (Path(folder) / name).read_bytes()
            assert b"quarzsand" not in data, name
            assert b"Wolfdietrich" not in data, name
            assert b"203.0.113.77" not in data and b"2024-03-01T10:11:12" not in data, name
    await world.start()


async def test_the_end_of_an_import_is_announced_without_its_file_name(world: Any, until: Any) -> None:
    done = await world.imported(await world.make_list(), b"email\nann@example.com\nbob@example.com\n", filename="ann.csv")

    async def announced() -> bool:
        return (await world.events())[-1].type == "postlaw.subscribers.ImportFinished"

    await until(announced)  # the job is done a moment before its end is on the bus
    told = pb.ImportFinished.FromString((await world.events())[-1].data)
    assert getattr(told, "import").import_id == done.import_id
    assert getattr(told, "import").added == 2
    assert getattr(told, "import").filename == ""
