"""`postlaw generation`: of the topics, and how whoever restored something says that it is another one."""

from __future__ import annotations

import json

import click

from postlaw_common.bus import Bus
from postlaw_common.bus.generation import GENERATIONS, Generations
from postlaw_common.bus_commands import with_bus
from postlaw_common.contracts import event_topics

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group()
def generation() -> None:
    """The generation of the topics: which log the offsets belong to that services keep in their stores.

    With the embedded bus, which belongs to one process, stop `postlaw dev` first.

    \b
    Example:
      postlaw generation show
    Exit codes: 0 done, 1 the bus cannot be used, 2 wrong usage.
    """


@generation.command()
@as_json
def show(as_json: bool) -> None:
    """The generation of today.

    \b
    Example:
      postlaw generation show
    Exit codes: 0 done, 1 the bus cannot be used, 2 wrong usage.
    """
    _say(with_bus("generation", _now), as_json)


@generation.command("raise")
@as_json
def raise_generation(as_json: bool) -> None:
    """After a restore, of the stores or of the bus, before any service is started: every offset from before is void.

    What was being sent is not sent on, so that nobody is mailed twice; every opt-out in consent's ledger counts. Processes that still run
    end by themselves. Topics that are empty begin a generation of their own: with them it does no harm, and is not needed.

    \b
    Example:
      postlaw generation raise
    Exit codes: 0 done, 1 the bus cannot be used, 2 wrong usage.
    """
    _say(with_bus("generation", _raised), as_json)


async def _now(bus: Bus) -> str:
    generations = Generations(bus)
    try:
        await bus.ensure_topics([GENERATIONS])
        return await generations.now()
    finally:
        await generations.close()


async def _raised(bus: Bus) -> str:
    generations = Generations(bus)
    try:
        return await generations.raise_(event_topics())
    finally:
        await generations.close()


def _say(generation: str, as_json: bool) -> None:
    click.echo(json.dumps({"generation": generation}) if as_json else generation or "none yet: the first service to start begins one")
