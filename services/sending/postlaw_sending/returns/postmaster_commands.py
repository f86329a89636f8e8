"""`postlaw postmaster`: what a provider without feedback loops shows of customers' domains."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from postlaw.sending.v1 import sending_pb2 as pb
from postlaw_sending.commands import as_json, asked

if TYPE_CHECKING:
    from postlaw.sending.v1.sending_pb2_grpc import SendingServiceAsyncStub

# The names that Google's Postmaster Tools show, and those of their API (v1, trafficStats), in letters alone.
_DOMAIN: Final = ("domain", "domainname")
_DATE: Final = ("date", "day")
_RATE: Final = ("userreportedspamrate", "userreportedspamratio", "spamrate")
_AT_ONCE: Final = 1_000


@click.group()
def postmaster() -> None:
    """What a provider that reports no complaints shows of customers' domains instead.

    \b
    Example:
      postlaw postmaster import rates.csv
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """


@postmaster.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--provider", default="gmail", show_default=True, help="Whose figures they are.")
@as_json
def import_command(file: Path, provider: str, as_json: bool) -> None:
    """Take the user-reported spam rates of a CSV file, which has the columns domain, date (2026-11-20, or 20261120) and user-reported spam
    rate (0.0012, or 0.12%). From 0.2 % on, of a thousand messages or more, that customer mails this provider's people no more, until
    `postlaw sending release-sending`.

    \b
    Example:
      postlaw postmaster import rates.csv --provider gmail
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            rates = list(rates_in(opened.read()))
    except (ValueError, csv.Error) as wrong:
        click.echo(f"{file}: {wrong}", err=True)
        sys.exit(2)
    taken, unknown = 0, set[str]()
    for start in range(0, len(rates), _AT_ONCE):
        some = rates[start : start + _AT_ONCE]

        async def ask(
            stub: SendingServiceAsyncStub, some: list[pb.ImportPostmasterRatesRequest.Rate] = some
        ) -> pb.ImportPostmasterRatesResponse:
            return await stub.ImportPostmasterRates(pb.ImportPostmasterRatesRequest(provider=provider, rates=some))

        answer = asked(ask)
        taken += answer.taken
        unknown.update(answer.unknown_domains)
    if as_json:
        click.echo(json.dumps({"taken": taken, "unknown_domains": sorted(unknown)}))
    else:
        click.echo(f"{taken} figures taken{': no customer has ' + ', '.join(sorted(unknown)) if unknown else ''}")


def rates_in(text: str) -> Iterator[pb.ImportPostmasterRatesRequest.Rate]:
    """Of a CSV's text. Raises ValueError, naming the line, where a column is missing or a figure is none; a rate left empty is of a day on
    which there was too little to tell, and is left out."""
    rows = csv.DictReader(text.splitlines())
    names = {re.sub(r"[^a-z]", "", name.lower()): name for name in rows.fieldnames or ()}
    domain, day, rate = (_column(names, wanted) for wanted in (_DOMAIN, _DATE, _RATE))
    for number, row in enumerate(rows, 2):
        said = (row[rate] or "").strip()
        if said:
            yield pb.ImportPostmasterRatesRequest.Rate(
                domain=(row[domain] or "").strip(), date=_date((row[day] or "").strip()), spam_rate=_share(said, number)
            )


def _column(names: Mapping[str, str], wanted: tuple[str, ...]) -> str:
    found = next((names[name] for name in wanted if name in names), None)
    if found is None:
        raise ValueError(f"there is no column {wanted[0]}")
    return found


def _date(said: str) -> str:
    return f"{said[:4]}-{said[4:6]}-{said[6:]}" if re.fullmatch(r"\d{8}", said) else said


def _share(said: str, line: int) -> float:
    try:
        return float(said.rstrip("% ")) / (100 if said.endswith("%") else 1)
    except ValueError:
        raise ValueError(f"line {line}: {said!r} is no rate") from None
