"""`postlaw dlq`: what consumers could not handle, and sending it back to them.

Letters are named `<topic>/<partition>/<offset>`, as `list` prints them. A letter's payload is never printed: it may hold
whatever the contracts class confidential; its event's headers hold ids, times and the reason in words free of personal data.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime

import click

from postlaw_common.bus import Bus
from postlaw_common.bus_commands import with_bus
from postlaw_common.contracts import event_topics
from postlaw_common.dead_letters import AlreadyReplayed, Letter, NoSuchLetter, find, find_all, send_back

NOT_THERE, SENT_BEFORE = 3, 4

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group()
def dlq() -> None:
    """Records that a consumer could not handle: list them, look at one, send them back.

    With the embedded bus, which belongs to one process, stop `postlaw dev` first.

    \b
    Example:
      postlaw dlq list
    Exit codes: 0 done, 1 the bus cannot be used, 2 wrong usage, 3 no such letter, 4 it was sent back before.
    """


@dlq.command("list")
@click.option("--topic", "topics", multiple=True, help="Only this topic; may be given several times. Default: all event topics.")
@click.option("--all", "replayed_too", is_flag=True, help="Also those that were sent back.")
@as_json
def list_letters(topics: tuple[str, ...], replayed_too: bool, as_json: bool) -> None:
    """The parked records, oldest first within each partition.

    \b
    Example:
      postlaw dlq list --topic postlaw.consent.events.v1 --json
    Exit codes: 0 done, 1 the bus cannot be used, 2 wrong usage.
    """

    async def work(bus: Bus) -> list[Letter]:
        return [letter for topic in topics or event_topics() for letter in await find_all(bus, topic)]

    letters = [letter for letter in with_bus("dlq", work) if replayed_too or not letter.replayed]
    for letter in letters:
        click.echo(json.dumps(_shown(letter)) if as_json else f"{letter.name}  {letter.type}  {letter.consumer}  {letter.reason}")
    if not letters and not as_json:
        click.echo("Nothing is parked.")


@dlq.command()
@click.argument("letter")
@as_json
def show(letter: str, as_json: bool) -> None:
    """One parked record: its event's headers, the reason, its size; never its payload.

    \b
    Example:
      postlaw dlq show postlaw.consent.events.v1/3/17
    Exit codes: 0 done, 1 the bus cannot be used, 2 wrong usage, 3 no such letter.
    """
    place = _place(letter)
    with _letter_errors():
        found = with_bus("dlq", lambda bus: find(bus, *place))
        for name, value in _shown(found).items():
            if not as_json:
                click.echo(f"{name:<13} {value}")
        if as_json:
            click.echo(json.dumps(_shown(found)))


@dlq.command()
@click.argument("letters", nargs=-1, required=True)
@click.option("--again", is_flag=True, help="Also if it was sent back before.")
@as_json
def replay(letters: tuple[str, ...], again: bool, as_json: bool) -> None:
    """Sends parked records back to their topic and partition; only the consumer that had failed takes them.

    \b
    Example:
      postlaw dlq replay postlaw.consent.events.v1/3/17 postlaw.consent.events.v1/3/18
    Exit codes: 0 done, 1 the bus cannot be used, 2 wrong usage, 3 no such letter, 4 it was sent back before.
    """
    places = [_place(letter) for letter in letters]

    async def work(bus: Bus) -> list[Letter]:
        chosen = [await find(bus, *place) for place in places]
        for letter in chosen:  # all or none: none is sent before all are known to be there
            if letter.replayed and not again:
                raise AlreadyReplayed(letter.name)
        for letter in chosen:
            await send_back(bus, letter)
        return chosen

    with _letter_errors():
        for letter in with_bus("dlq", work):
            click.echo(json.dumps({"letter": letter.name, "sent_to": letter.consumer}) if as_json else f"{letter.name} → {letter.consumer}")


@contextmanager
def _letter_errors() -> Generator[None]:
    try:
        yield
    except NoSuchLetter as wrong:
        click.echo(f"postlaw dlq: nothing is parked at {wrong}; `postlaw dlq list` names what is.", err=True)
        sys.exit(NOT_THERE)
    except AlreadyReplayed as wrong:
        click.echo(f"postlaw dlq: {wrong} was sent back before; `--again` sends it once more. Nothing was sent now.", err=True)
        sys.exit(SENT_BEFORE)


def _place(text: str) -> tuple[str, int, int]:
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise click.UsageError(f"{text!r} is no letter's name; it looks like postlaw.consent.events.v1/3/17.")
    return topic, int(partition), int(offset)


def _shown(letter: Letter) -> dict[str, object]:
    fields = {name: value for name, value in asdict(letter).items() if name != "record"}
    parked = datetime.fromtimestamp(letter.parked_us / 1e6, UTC).isoformat(timespec="seconds")
    return {"letter": letter.name, **fields, "parked_at": parked, "size": len(letter.record.value)}
