"""The receiving server, and the connections that lead to it: slow at times, hanging up at times, taking what a killed process sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postlaw_sending.delivery.replies import Kind, Reply

if TYPE_CHECKING:
    from services.sending.tests.simulation.world import Process, World


@dataclass
class Mail:
    """One message that the receiver has taken, on the world's clock."""

    to: str
    begin: float
    end: float


@dataclass
class HandOver:
    to: str
    done: Callable[[Reply], None]
    sender: Process
    connection: Wire
    begun: float = -1.0
    over: bool = False


class Receiver:
    def __init__(self, world: World) -> None:
        self._world = world
        self.taken: list[Mail] = []
        self.slow = 0.0  # seconds that every final reply takes, at least
        self.trouble = 0.0  # the share of messages on which it is slow, puts off or hangs up
        self._under_way: defaultdict[Wire, list[HandOver]] = defaultdict(list)

    def answers_after(self) -> float:
        """How long the commands before a message take."""
        chance = self._world.chance
        return chance.uniform(0.5, 5) if chance.random() < self.trouble else chance.uniform(0.001, 0.02)

    def send(self, hand_over: HandOver) -> None:
        """The bytes are with the sender's kernel."""
        self._under_way[hand_over.connection].append(hand_over)
        self._world.loop.call_later(self._world.chance.uniform(0.001, 0.02), self._begin, hand_over)

    def _begin(self, hand_over: HandOver) -> None:
        if hand_over.over:
            return
        chance = self._world.chance
        hand_over.begun = self._world.loop.time()
        troubled = chance.random() < self.trouble
        slow = troubled and chance.random() < 0.5
        after = chance.uniform(1, 8) if slow else chance.uniform(0.001, 0.03)
        what = "deferred" if troubled and chance.random() < 0.3 else "hang up" if troubled and chance.random() < 0.4 else "accepted"
        self._world.loop.call_later(self.slow + after, self._end, hand_over, what)

    def _end(self, hand_over: HandOver, what: str) -> None:
        if hand_over.over:
            return
        if what == "hang up":
            self.hang_up(hand_over.connection)
            return
        hand_over.over = True
        self._under_way[hand_over.connection].remove(hand_over)
        if what == "accepted":
            self._take(hand_over)
        self._reply(hand_over, "accepted" if what == "accepted" else "deferred")

    def _take(self, hand_over: HandOver) -> None:
        self.taken.append(Mail(hand_over.to, hand_over.begun, self._world.loop.time()))

    def _reply(self, hand_over: HandOver, kind: Kind) -> None:
        reply = Reply(kind, 250, "so it is", 1)
        sender, connection = hand_over.sender, hand_over.connection
        self._world.loop.call_later(
            self._world.chance.uniform(0, 0.01), sender.whenever_running, lambda: connection.reported(hand_over.done, reply)
        )

    def hang_up(self, connection: Wire) -> None:
        """Without a reply to anything under way; what it has taken of that, nobody is told."""
        connection.alive = False
        for hand_over in self._under_way.pop(connection, []):
            hand_over.over = True
            self._perhaps_take(hand_over)
            self._reply(hand_over, "dropped")

    def sender_killed(self, process: Process) -> None:
        """What waits in the receiver's buffers is taken, or it is not."""
        for connection in [connection for connection in self._under_way if connection.process is process]:
            for hand_over in self._under_way.pop(connection):
                hand_over.over = True
                self._perhaps_take(hand_over)

    def _perhaps_take(self, hand_over: HandOver) -> None:
        if self._world.chance.random() < 0.5:
            self._world.loop.call_later(self._world.chance.uniform(0, 3), self._take_late, hand_over)

    def _take_late(self, hand_over: HandOver) -> None:
        hand_over.begun = self._world.loop.time() if hand_over.begun < 0 else hand_over.begun
        self._take(hand_over)


class Wire:
    """A worker's connection. Its process may be stopped right before any write: `stumbles` says so.

    Step by step, as to a server without PIPELINING, one message is on its way, and it is written only when its commands have been
    answered; else `depth` of them, each whole at once."""

    def __init__(self, process: Process, depth: int, stumbles: Callable[[Process], None], *, step_by_step: bool) -> None:
        self.process = process
        self.alive = True
        self.transport = 3
        self._depth = 1 if step_by_step else depth
        self._step_by_step = step_by_step
        self._waiting = 0
        self._stumbles = stumbles
        self._corked: list[tuple[HandOver, Callable[[], bool]]] = []
        self._commands: list[tuple[HandOver, Callable[[], bool]]] = []  # answered in a while; then the message may follow

    @property
    def has_room(self) -> bool:
        return self.alive and self._waiting < self._depth

    async def room(self) -> bool:
        await self.process.step()
        while self.alive and self._waiting >= self._depth:
            await self.process.step(0.02)
        return self.alive

    def cork(self) -> None: ...

    def uncork(self) -> None:
        """The write."""
        corked, self._corked = self._corked, []
        if corked:
            self._stumbles(self.process)
            self.process.whenever_running(lambda: self._write(corked))

    def _write(self, corked: list[tuple[HandOver, Callable[[], bool]]]) -> None:
        if not self._step_by_step:
            for hand_over, _ in corked:
                self._send(hand_over)
            return
        world = self.process.world
        self._commands += corked
        for one in corked:
            world.loop.call_later(world.receiver.answers_after(), self.process.whenever_running, lambda one=one: self._follow(*one))

    def _follow(self, hand_over: HandOver, may_go_on: Callable[[], bool]) -> None:
        """The commands are answered."""
        if (hand_over, may_go_on) in self._commands:
            if not may_go_on():
                self._reset()
                return
            self._commands.remove((hand_over, may_go_on))
            self.process.world.followed.append(self.process.world.loop.time())
            self._send(hand_over)

    def _send(self, hand_over: HandOver) -> None:
        if self.alive:
            self.process.world.receiver.send(hand_over)
        else:
            self._never_left(hand_over)

    def _never_left(self, hand_over: HandOver) -> None:
        self.reported(hand_over.done, Reply("deferred", 0, "never left", 1))

    def cut_off(self) -> None:
        if not all(may_go_on() for _, may_go_on in self._commands):
            self._reset()

    def _reset(self) -> None:
        self.alive = False
        commands, self._commands = self._commands, []
        for hand_over, _ in commands:
            self._never_left(hand_over)

    def hand_off(
        self, sender: bytes, recipient: bytes, message: bytes, done: Callable[[Reply], None], may_go_on: Callable[[], bool]
    ) -> None:
        self._waiting += 1
        self.process.world.checked.append(self.process.world.loop.time())
        self._corked.append((HandOver(recipient.decode(), done, self.process, self), may_go_on))

    def reported(self, done: Callable[[Reply], None], reply: Reply) -> None:
        self._waiting -= 1
        done(reply)
