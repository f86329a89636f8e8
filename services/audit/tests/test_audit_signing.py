"""The log's keys: each is made once, and one that follows another is the log's to whoever knows only the first."""

from __future__ import annotations

from pathlib import Path

import pytest

from postlaw_audit.key_chain import key_chain, succession_path
from postlaw_audit.notes import Checkpoint, NoteInvalid, open_note, parse_verifier_key
from postlaw_audit.signing import LOG_KEYS, Signer
from postlaw_audit.sources import FolderFiles
from postlaw_common.keys.embedded import FileRootKey
from postlaw_common.store.embedded import EmbeddedStore
from postlaw_common.testing.promises import promise
from services.audit.tests.logs_made import ORIGIN, write

CHECKPOINT = Checkpoint(ORIGIN, 7, bytes(32))


@promise("A3")
async def test_a_key_is_followed_by_the_next_without_a_day_on_which_a_verifier_must_learn_it(tmp_path: Path) -> None:
    store, root = EmbeddedStore(str(tmp_path), "audit"), FileRootKey(str(tmp_path))
    await store.start([LOG_KEYS])
    await root.start()

    async def started(*numbers: int) -> Signer:
        signer = Signer(lambda: store.collection(LOG_KEYS.name), root, ORIGIN, numbers)
        await signer.start()
        for number, note in signer.successions.items():
            write(tmp_path / "log" / succession_path(number), note.encode())
        return signer

    first = await started(1)
    assert (await started(1)).verifier() == first.verifier()
    both = await started(1, 2)
    for known in (first, both):  # whoever verifies goes on with the key that they have
        assert open_note(both.sign(CHECKPOINT), *parse_verifier_key(known.verifier())) == CHECKPOINT
    third = await started(3)
    note = third.sign(CHECKPOINT)
    assert len({first.verifier(), both.verifier(), third.verifier()}) == 3
    with pytest.raises(NoteInvalid):
        open_note(note, *parse_verifier_key(first.verifier()))
    chain = await key_chain(FolderFiles(tmp_path / "log"), first.verifier())
    assert chain.open(note) == (CHECKPOINT, third.verifier())
    with pytest.raises(NoteInvalid):
        (await key_chain(FolderFiles(tmp_path / "log"), third.verifier())).open(first.sign(CHECKPOINT))
    await store.close()
