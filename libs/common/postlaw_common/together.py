"""Group commit: what several ask at about the same time is asked once, for all of them.

Each question by itself costs both sides a message and its answer, which is most of its processor time where it is a small one. The first
after a rest is asked at once and alone. While an answer is under way those who come gather for the next, so that the more there are, the
more go together; `apart_s` has them gather also where answers are quick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Together(Generic[Q, A]):
    """`ask` gets questions in the order in which they came, and returns an answer for each; what it raises, all of them get. `apart_s`:
    seconds that lie between the beginnings of two at least, but no pause is made where `most` wait, as many as go together."""

    def __init__(self, ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], *, apart_s: float = 0.0, most: int = 100) -> None:
        self._ask = ask
        self._apart_s = apart_s
        self._most = most
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._next_at = 0.0  # on the loop's clock

    async def __call__(self, question: Q) -> A:
        """Whoever is cancelled meanwhile leaves the others' answers alone; the question itself is asked all the same."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._asking is None:
            # In nobody's name: it goes on for others, whose logs and traces are not the first one's.
            self._asking = asyncio.create_task(self._run(), context=Context())
        return await answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        some: list[tuple[Q, asyncio.Future[A]]] = []
        try:
            while self._waiting:
                if len(self._waiting) < self._most and (left_s := self._next_at - loop.time()) > 0:
                    await asyncio.sleep(left_s)
                some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                self._next_at = loop.time() + self._apart_s
                await self._answer(some)
        finally:
            self._asking = None
            for _, answer in (*some, *self._waiting):  # who has no answer yet: this task was cancelled, for the loop is closing
                answer.cancel()

    async def _answer(self, some: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._ask([question for question, _ in some])
        except Exception as error:
            for _, waiting in some:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        for (_, waiting), given in zip(some, answers, strict=True):
            if not waiting.done():
                waiting.set_result(given)
