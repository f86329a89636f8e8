"""The first gate: what the law says of one message to each of its people, each distinct verdict made once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postlaw_consent.domain.fact import Fact, fact_of
from postlaw_consent.domain.fold import Fold, fold, person_of
from postlaw_consent.domain.snapshot import History
from postlaw_law.clocks import instant, microseconds
from postlaw_law.deciding import Campaign
from postlaw_law.decision import Decision
from postlaw_law.facts import Message, Person
from postlaw_law.law import Law

_NO_FACTS = Person()


LONG = 15  # events: nobody's ordinary history; who has more is folded, and not held event by event


@dataclass(frozen=True, slots=True)
class Folded:
    """A person of many events: how many, the facts, the latest time in them, and what stands for all in the hash of a decision's inputs."""

    events: int
    person: Person
    latest_us: int
    digest: bytes


# The texts of a person's events, a line each: most people have one, shared by all who have the same. Facts made of them would take ten
# times the memory, and a gate makes them in microseconds.
Standing = str | Folded
NOBODY: Standing = ""


def standing_of(texts: Sequence[str]) -> Standing:
    """Of a person's events in the order of their versions."""
    if len(texts) <= LONG:
        return "\n".join(texts)
    history = History(Fold())
    go_on(history, texts)
    return folded(history)


def facts_of(texts: str) -> list[Fact]:
    """The events of a standing that is a text."""
    return [fact_of(version, text) for version, text in enumerate(texts.split("\n"), 1)]


def go_on(history: History, texts: Iterable[str]) -> None:
    """With the events that follow those of which it is the history."""
    state, digest = history.fold, history.digest
    for version, text in enumerate(texts, state.version + 1):
        state.apply(fact_of(version, text))
        digest = hashlib.sha256(digest + text.encode()).digest()
    history.digest = digest


def folded(history: History) -> Folded:
    state = history.fold
    return Folded(state.version, state.person(), state.latest_us, history.digest)


def events_of(standing: Standing) -> int:
    """How many events of the person's history were decided on."""
    if isinstance(standing, str):
        return standing.count("\n") + 1 if standing else 0
    return standing.events


class Gate:
    """One message at one instant. `verdicts`: the answers so far, each once, whenever they end; `ends`: of each person asked, in order,
    when the yes ends, in microseconds since the epoch, 0 where it does not end by itself.

    `inputs()` is the hash of all that was decided on: message, law, instant, and each person's facts in the order asked."""

    def __init__(self, message: Message, law: Law, now_us: int, ready: Campaign | None = None) -> None:
        """`ready`: the same message, made ready for an earlier gate."""
        self.verdicts: list[Decision] = []
        self.law_version = law.version
        self.ends: list[int] = []
        self.campaign = ready.at(instant(now_us)) if ready else Campaign(message, law, instant(now_us))
        self._now_us = now_us
        self._places: dict[object, int] = {}
        self._of_text: dict[str, tuple[int, int]] = {}
        self._inputs = hashlib.sha256(repr_of(message).encode() + f"\n{law.version}\n{now_us}\n".encode())

    def verdict(self, address_key: bytes, standing: Standing) -> int:
        """The place of this person's answer among the verdicts."""
        update = self._inputs.update
        update(address_key)
        if isinstance(standing, str):
            update(standing.encode())
            answer = self._of_text.get(standing)
            if answer is None:
                answer = self._of_text[standing] = self._answer(self._of(standing))
        else:
            update(standing.digest)
            answer = self._answer(self.decide(standing.person, standing.latest_us))
        self.ends.append(answer[1])
        return answer[0]

    def decide(self, person: Person, latest_us: int) -> Decision:
        """`latest_us`: of the person's events. What is on record has happened, also where the clock that wrote it runs before ours: an
        opt-out must not wait for ours."""
        if latest_us > self._now_us:
            return self.campaign.at(instant(latest_us)).decide(person)
        return self.campaign.decide(person)

    def _of(self, texts: str) -> Decision:
        if not texts:
            return self.decide(_NO_FACTS, 0)
        if "\n" not in texts:
            fact = fact_of(1, texts)
            return self.decide(person_of(fact), fact.at_us)
        state = fold(facts_of(texts))
        return self.decide(state.person(), state.latest_us)

    def inputs(self) -> bytes:
        return self._inputs.digest()

    def _answer(self, decision: Decision) -> tuple[int, int]:
        """Its place, and its end."""
        basis = decision.basis and tuple(sorted(decision.basis.items()))
        key = (decision.reasons, basis, decision.obligations.duties, decision.tracking)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.verdicts)
            self.verdicts.append(decision._replace(expires_at=None, evidence=()))
        return place, microseconds(decision.expires_at) if decision.expires_at is not None else 0


def repr_of(message: Message) -> str:
    """The message as one text, the same in every process, and of one without a brand the same as before there were any."""
    states, defects = (",".join(sorted(words)) for words in (message.states, message.defects))
    said = f"{message.sender} {message.sender_kind} {message.message_class} {message.zone.key} [{states}] [{defects}] {message.topic}"
    return f"{said}\n{message.brand}" if message.brand else said
