"""The projection: each settled batch counts once, whatever is read twice and wherever it is killed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.store import Collection
from postlaw_common.store.embedded import EmbeddedStore
from postlaw_sending.campaigns.domain.recipients import (
    BACK_OFF_MINUTES,
    CAMPAIGN_PAUSED,
    Settled,
    State,
    Tally,
    count,
    settled_state,
    waiting,
)
from postlaw_sending.campaigns.outcomes import BATCHES, TOTALS, Outcomes, Read
from postlaw_sending.campaigns.retries import RETRIES, Retries

LONG_AFTER = 1 << 50


def settled(batch: int, states: Sequence[State], *, reasons: Sequence[str] = (), attempt: int = 0, partition: int = 0) -> Settled:
    size = len(states)
    return Settled(
        tenant_id="ten_1",
        campaign_id="cmp_1",
        partition=partition,
        batch=batch,
        attempt=attempt,
        started_at_us=1_000_000,
        states=bytes(states),
        address_keys=[bytes([1, batch, index]) for index in range(size)],
        subscriber_ids=[f"sub_{batch}_{index}" for index in range(size)],
        reasons=reasons or [""] * size,
        handed_over_after_us=[0] * size,
    )


class Killed(Exception):
    """The process ended here."""


class MortalCollection:
    """Ends the process right before or right after the `at`-th write, over all collections."""

    def __init__(self, collection: Collection, left: list[int]) -> None:
        self._collection = collection
        self._left = left

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Awaitable[Any]] = getattr(self._collection, name)
        if name not in ("insert", "insert_many", "replace"):
            return method

        async def mortal(*args: Any, **kwargs: Any) -> Any:
            self._strike()
            result = await method(*args, **kwargs)
            self._strike()
            return result

        return mortal

    def _strike(self) -> None:
        self._left[0] -= 1
        if self._left[0] == 0:
            raise Killed


@asynccontextmanager
async def opened(directory: Path) -> AsyncGenerator[EmbeddedStore]:
    store = EmbeddedStore(str(directory), "sending")
    await store.start([BATCHES, TOTALS, RETRIES])
    try:
        yield store
    finally:
        await store.close()


def projection(store: EmbeddedStore, left: list[int] | None = None) -> Outcomes:
    def collection(name: str) -> Collection:
        found = store.collection(name)
        return found if left is None else cast("Collection", MortalCollection(found, left))

    return Outcomes(lambda: collection(BATCHES.name), lambda: collection(TOTALS.name), lambda: collection(RETRIES.name))


def retries_of(store: EmbeddedStore) -> Retries:
    return Retries(lambda: store.collection(RETRIES.name), lambda: store.collection(BATCHES.name))


S, R, D = State.SENT, State.REFUSED, State.DEFERRED


async def test_a_projection_killed_at_any_write_counts_everyone_once(tmp_path: Path) -> None:
    reads = [
        Read(5, b"a", settled(0, [S, S, R], reasons=["", "", "withdrawn"])),
        Read(6, b"b", settled(1, [S, D], reasons=["", "450 later"])),
        Read(7, b"c", settled(0, [S, S, R], partition=1, reasons=["", "", "withdrawn"])),
        Read(8, b"b", settled(1, [S, D], reasons=["", "450 later"])),  # the same batch again: its worker was killed
    ]
    for at in itertools.count(1):
        left = [at]
        async with opened(tmp_path / str(at)) as store:
            try:
                await projection(store, left).apply(reads)
            except Killed:
                await projection(store).apply(reads[:2])
                await projection(store).apply(reads)
            tally = await projection(store).tally("cmp_1")
            assert tally == Tally(batches=3, sent=5, refused=2, refused_by_reason={"withdrawn": 2}), f"killed at {at}"
            due = await retries_of(store).due("cmp_1", 0, LONG_AFTER)
            assert [retry.subscriber_ids for retry in due] == [["sub_1_1"]], f"killed at {at}"
        if left[0] > 0:
            assert at > 6
            return


async def test_a_batch_that_the_topic_holds_twice_counts_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        batch = settled(0, [S, S, R], reasons=["", "", "withdrawn"])
        await projection(store).apply([Read(3, b"", batch)])
        await projection(store).apply([Read(4, b"", batch), Read(5, b"", settled(1, [S]))])
        await projection(store).apply([Read(6, b"", batch)])
        assert (await projection(store).tally("cmp_1")).final == 4


async def test_who_is_planned_anew_before_their_loss_is_counted_is_counted_once(tmp_path: Path) -> None:
    lost = [Read(0, b"", settled(0, [State.UNKNOWN] * 3))]
    async with opened(tmp_path) as store:
        with contextlib.suppress(Killed):
            await projection(store, left=[3]).apply(lost)  # the batch is noted, its totals are not
        again = projection(store)
        assert await store.collection(BATCHES.name).get("cmp_1/0000/00000000")
        assert (await again.tally("cmp_1")).batches == 0
        assert await again.mail_again("cmp_1", 0, 0, 3)
        assert not await again.mail_again("cmp_1", 0, 0, 3)
        await again.apply(lost)
        tally = await again.tally("cmp_1")
        assert (tally.batches, tally.unknown) == (1, 0)


async def test_who_was_taken_up_again_does_not_wait_a_second_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        reads = [Read(0, b"", settled(0, [D, D], reasons=["450 later", CAMPAIGN_PAUSED]))]
        await projection(store).apply(reads)
        due = await retries_of(store).due("cmp_1", 0, LONG_AFTER)
        assert [(retry.attempt, retry.subscriber_ids) for retry in due] == [(0, ["sub_0_1"]), (1, ["sub_0_0"])]
        await retries_of(store).remove([retry.id for retry in due])
        await projection(store).apply(reads)
        await projection(store).apply([Read(9, b"", reads[0].settled)])
        assert not await retries_of(store).any("cmp_1")


async def test_nobody_is_taken_up_before_their_batch_is_noted(tmp_path: Path) -> None:
    """Else they could be put to wait again after they were taken up: by the projection, when it reads the batch again."""
    async with opened(tmp_path) as store:
        read = Read(0, b"", settled(0, [D], reasons=["450 later"]))
        try:
            await projection(store, [2]).apply([read])
        except Killed:
            assert await retries_of(store).any("cmp_1")
            assert not await retries_of(store).due("cmp_1", 0, LONG_AFTER)
        await projection(store).apply([read])
        assert await retries_of(store).due("cmp_1", 0, LONG_AFTER)


async def test_nobody_is_taken_up_before_their_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await projection(store).apply([Read(0, b"", settled(0, [D], reasons=["450 later"]))])
        assert not await retries_of(store).due("cmp_1", 0, 1_000_000 + 59_999_999)
        assert await retries_of(store).due("cmp_1", 0, 1_000_000 + 60_000_000)
        assert await retries_of(store).due("cmp_1", 0, 0, any_time=True)


PEOPLE = st.lists(st.tuples(st.sampled_from(list(State)), st.sampled_from(["", "450 later", CAMPAIGN_PAUSED])), max_size=50)


@given(PEOPLE, st.integers(0, 12))
def test_everyone_of_a_settled_batch_is_final_or_waits(people: list[tuple[State, str]], attempt: int) -> None:
    batch = settled(0, [state for state, _ in people], reasons=[reason for _, reason in people], attempt=attempt)
    groups = waiting(batch)
    assert count(batch).final + sum(len(group.address_keys) for group in groups) == len(people)
    listed = [outcome.state for outcome in batch.outcomes()]
    assert listed.count(State.DEFERRED) == sum(len(group.address_keys) for group in groups)
    assert all(group.attempt in (attempt, attempt + 1) for group in groups)


def test_who_is_put_off_for_a_whole_day_expires() -> None:
    assert sum(BACK_OFF_MINUTES) == 24 * 60
    assert settled_state(State.DEFERRED, "450 later", len(BACK_OFF_MINUTES) - 1) is State.DEFERRED
    assert settled_state(State.DEFERRED, "450 later", len(BACK_OFF_MINUTES)) is State.EXPIRED
    assert settled_state(State.DEFERRED, CAMPAIGN_PAUSED, 50) is State.DEFERRED
