"""Rules of the stop that random schedules seldom come upon, one by one."""

from __future__ import annotations

import pytest

from postlaw_common.bus import Record
from postlaw_common.bus.generation import Generations
from postlaw_common.testing.promises import promise
from postlaw_sending.stop.await_stopped import AwaitStopped
from postlaw_sending.stop.holding import CLAIMED, BatchRecord, OpenClaim
from postlaw_sending.stop.holdings import EpochRefused
from postlaw_sending.stop.observing import Observer
from postlaw_sending.stop.second_gate import SecondGate
from postlaw_sending.stop.wire import WATERMARKS, Applied
from services.sending.tests.worker.mill import Mill, running, until


@promise("M6")
async def test_stopped_is_never_answered_on_an_earlier_holders_watermark(mill: Mill) -> None:
    """It has applied the withdrawal, and been overtaken by one that has not."""
    first = await mill.holdings.take(await mill.holdings.read(0), "first", mill.generation)
    assert first is not None
    tag, offset = await mill.withdraw(3)
    mark = Applied(0, offset, frozenset(), first.epoch, frozenset(), mill.generation)
    await mill.bus.publish([Record(WATERMARKS, 0, mark.to_bytes())])
    await until(lambda: mill.watermarks.latest(0, mill.generation) == mark)
    assert (await mill.await_stopped(tag, 0, offset, mill.generation, within_s=1)).stopped
    assert await mill.holdings.take(await mill.holdings.read(0), "second", mill.generation)
    assert not (await mill.await_stopped(tag, 0, offset, mill.generation, within_s=0.5)).stopped


@promise("M6")
async def test_whoever_judges_a_lost_holder_by_its_claims_has_overtaken_it(mill: Mill) -> None:
    """It may only be paused, and would claim the person a moment later."""
    paused = await mill.holdings.take(await mill.holdings.read(0), "paused", mill.generation)
    assert paused is not None
    tag, offset = await mill.withdraw(3)
    asking = AwaitStopped(mill.holdings, mill.watermarks, Observer(lease_s=0.6), Generations(mill.bus))
    assert (await asking(tag, 0, offset, mill.generation)).stopped
    paused.batches = [BatchRecord(0, "evt_1", 0, 0, bytes([CLAIMED]), bytes(4))]
    paused.claims = [OpenClaim(0, [0], [tag], "list:lst_1")]
    with pytest.raises(EpochRefused):
        await mill.holdings.write(paused, held_by="paused", fresh=[])


@promise("M6")
def test_there_is_no_permit_before_the_log_is_applied_up_to_its_end() -> None:
    gate = SecondGate(3, lambda: 10.0)
    gate.log_end_read(9.9, 5, 2.0)
    gate.advance(4)
    assert not gate.permitted()
    gate.advance(5)
    assert gate.permitted()


@promise("M6")
async def test_a_hand_off_under_way_is_held_against_permit_and_epoch_for_as_long_as_it_lasts(mill: Mill) -> None:
    mill.wire.hold = True
    await mill.send_to(range(1))
    worker = mill.worker()
    async with running(worker):
        await until(lambda: len(mill.wire.begun) == 1)
        partition, may_go_on = worker.held[0], mill.wire.may_go_on
        assert may_go_on is not None
        assert may_go_on()
        granted, partition.gate.permit_until = partition.gate.permit_until, 0.0
        assert not may_go_on()
        partition.gate.permit_until = granted
        assert may_go_on()
        partition.lost = True
        assert not may_go_on()
