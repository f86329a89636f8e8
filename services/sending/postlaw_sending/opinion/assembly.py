"""The second opinion, wired where it is switched on. Its client is imported then alone: it takes a second and some megabytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from postlaw_common.platform import Platform
from postlaw_sending.opinion.budget import BUDGETS, Budget
from postlaw_sending.opinion.prompts import PROMPTS, Prompts
from postlaw_sending.opinion.second_opinion import SecondOpinion

COLLECTIONS = (PROMPTS, BUDGETS)


@dataclass(frozen=True, slots=True)
class OpinionSettings:
    """`customers`: ids. `prompt`: a file that is read at the start and sealed into the store, "" where that was done before."""

    key: str
    url: str
    model: str
    customers: frozenset[str]
    prompt: str
    a_day: int


def assemble_opinion(platform: Platform, database: str, settings: OpinionSettings) -> tuple[SecondOpinion, Callable[[], Awaitable[None]]]:
    """(it, what is to be done at the start)."""
    from postlaw_sending.opinion.asking import KINDS, Asking, NoOpinion

    store = platform.store(database)
    prompts = Prompts(lambda: store.collection(PROMPTS.name), platform.platform_keys)
    budget = Budget(lambda: store.collection(BUDGETS.name), settings.a_day, platform.now_us)

    given = Path(settings.prompt).read_text(encoding="utf-8") if settings.prompt else ""

    async def start() -> None:
        if given:
            await prompts.put(given)

    asking = Asking(settings.key, settings.url, settings.model)
    return SecondOpinion(asking, KINDS, NoOpinion, settings.customers, prompts, budget), start
