"""The bus was set back to an older point, or emptied: the log goes on where the topics do, says so, and leaves out or repeats nothing."""

from __future__ import annotations

import asyncio

import pytest

from postlaw_audit.entries import event_id_of
from postlaw_audit.verifying import verify_log
from postlaw_common.bus.generation import Generations
from postlaw_common.testing.patience import until
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import TOPICS, Installation, running


async def raised(there: Installation) -> None:
    generations = Generations(there.bus)
    await generations.raise_(TOPICS)
    await generations.close()


async def entered(there: Installation, count: int, size: int) -> list[str]:
    """The ids of `count` more events, once the log has this size."""
    async with running(there.writer("a")):
        ids = await there.publish(count)
        await there.reaches(size)
    return ids


@promise("A3")
async def test_after_the_bus_was_set_back_every_event_of_before_and_after_is_entered_once(there: Installation) -> None:
    ids = await entered(there, 300, 300)
    copy = await there.copy()
    ids += await entered(there, 300, 600)
    await there.set_back(copy)
    await raised(there)
    ids += await entered(there, 100, 701)  # and the generation's own entry
    await there.set_back(copy)
    await raised(there)
    ids += await entered(there, 400, 1102)
    verified = await verify_log(there.files, there.verifier)
    assert (verified.checkpoint.size, verified.generations) == (1102, 2)
    proven = [await there.reader.prove_event(event_id) for event_id in ids]
    assert [event_id_of(proof.entry) for proof in proven] == ids
    assert len({proof.index for proof in proven}) == 1100


@promise("A3")
async def test_after_the_topics_were_emptied_the_log_reads_them_from_their_beginning(there: Installation) -> None:
    await entered(there, 300, 300)
    await there.set_back(None)
    await entered(there, 20, 321)
    assert (await verify_log(there.files, there.verifier)).generations == 1


@promise("A3")
async def test_a_generation_on_a_bus_that_nobody_set_back_repeats_nothing(there: Installation) -> None:
    await entered(there, 300, 300)
    await there.publish(10)
    await raised(there)
    await entered(there, 10, 321)
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 321


@promise("A3")
async def test_a_generation_that_is_raised_while_the_log_is_written_is_entered(there: Installation) -> None:
    async with running(there.writer("a")):
        await there.publish(300)
        await there.reaches(300)
        await raised(there)
        await there.publish(300)
        await there.reaches(601)
    assert (await verify_log(there.files, there.verifier)).generations == 1


@promise("A3")
@pytest.mark.parametrize("raises_before", [0, 1])
async def test_a_bus_that_was_set_back_in_silence_is_not_read_until_somebody_says_so(
    there: Installation, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], raises_before: int
) -> None:
    await entered(there, 100, 100)
    copy = await there.copy()
    for _ in range(raises_before):
        await raised(there)
    await entered(there, 100, 200 + raises_before)
    await there.set_back(copy)
    said: list[str] = []

    async def is_said() -> bool:
        said.extend(capsys.readouterr())
        return "postlaw generation raise" in caplog.text + "".join(said)

    async with running(there.writer("a")):
        await until(is_said)
        await asyncio.sleep(0.5)
        assert await there.size() == 200 + raises_before
    await raised(there)
    await entered(there, 100, 301 + raises_before)
    await verify_log(there.files, there.verifier)
