"""`postlaw domains`: a customer's sender domains, from where their zones are changed."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

import click

from postlaw_mesh.over_rest import REFUSED, asked, done, in_path, listed, over_rest, pages
from postlaw_mesh.rest_client import RestClient

_PATH = "/v1/sender-domains"


@click.group()
def domains() -> None:
    """Domains to mail from: what they are found to be, what the DNS must hold, and new keys.

    \b
    Example:
      postlaw domains check news.example.com
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage, 3 a domain that was checked is not verified.
    """


@domains.command("list")
@over_rest
def list_domains(url: str, key_file: TextIO | None, as_json: bool) -> None:
    """All of them, with what each is.

    \b
    Example:
      postlaw domains list --json
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage.
    """
    for domain in listed(url, key_file, _PATH, "sender_domains"):
        click.echo(json.dumps(domain) if as_json else _line(domain))


@domains.command()
@click.argument("domain")
@over_rest
def check(domain: str, url: str, key_file: TextIO | None, as_json: bool) -> None:
    """Ask the DNS now, and say what is missing and what to do.

    \b
    Example:
      postlaw domains check news.example.com
    Exit codes: 0 it is verified, 1 the API cannot be asked or refuses, 2 wrong usage, 3 it is not verified.
    """
    found = done(url, key_file, _PATH + "/{}/check", domain)
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo(_line(found))
        for one in found.get("checks", []):
            click.echo(f"  {one['result']:8}{one['id']}: {one.get('found') or 'nothing'}")
            if one.get("what_to_do"):
                click.echo(f"          {one['what_to_do']}")
    sys.exit(0 if found["state"] == "verified" else REFUSED)


@domains.command()
@click.argument("domain")
@over_rest
def rotate(domain: str, url: str, key_file: TextIO | None, as_json: bool) -> None:
    """Make new DKIM keys. They sign once a check finds them published; until then those before them do.

    \b
    Example:
      postlaw domains rotate news.example.com
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage.
    """
    found = done(url, key_file, _PATH + "/{}/rotate-keys", domain)
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(_line(found))
    for record in found.get("dns_records", []):
        click.echo(f"  {record['use']:7}{record['name']}  {record['type']}  {record['value']}")


@domains.command()
@click.argument("domain")
@click.option("--since", default="", help="A date, like 2026-11-26. Default: thirty days ago.")
@over_rest
def reports(domain: str, since: str, url: str, key_file: TextIO | None, as_json: bool) -> None:
    """What receivers report of a domain (DMARC and TLS), by day, and where they must be told to report to.

    \b
    Example:
      postlaw domains reports news.example.com --since 2026-11-01
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage.
    """
    to = ""

    async def ask(api: RestClient) -> list[dict[str, Any]]:
        nonlocal to
        found: list[dict[str, Any]] = []
        async for page in pages(api, f"{_PATH}/{in_path(domain)}/reports", since=since):
            to = page.get("report_to", "")
            found += page.get("reports", [])
        return found

    for report in asked(url, key_file, ask):
        if as_json:
            click.echo(json.dumps(report))
            continue
        causes = ", ".join(f"{cause['cause']} ({cause['count']})" for cause in report.get("causes", []))
        passed, failed = report.get("passed", 0), report.get("failed", 0)
        click.echo(f"{report['day']}  {report['kind']:5}  {passed} passed, {failed} failed  {report['reporter']}  {causes}".rstrip())
    if to and not as_json:
        click.echo(f"reports go to {to}")


def _line(domain: dict[str, Any]) -> str:
    wrong = [check["id"] for check in domain.get("checks", []) if check["result"] == "fail"]
    return f"{domain['domain']}  {domain['state']}" + (f"  fails: {', '.join(wrong)}" if wrong else "")
