"""The demo's steps, each through the REST API or a one-click POST, as customers and people use them."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from postlaw_audit.domain.merkle import leaf_hash, verify_inclusion
from postlaw_common.http_client import httpx
from postlaw_mesh.demo.law import Answered, HandOver, Verdict, judge, same
from postlaw_mesh.demo.people import ATTESTED, people_csv
from postlaw_mesh.rest_client import FINAL, ApiProblem, RestClient, accounted, client

TEMPLATE = {
    "subject": "{{ first_name }}, what is new at Acme",
    "text": "Hello {{ first_name }},\n\n" + "Here is what is new this week in {{ city }}.\n" * 20,
    "html": "<html><body><p>Hello {{ first_name }},</p>" + "<p>Here is what is new this week in {{ city }}.</p>\n" * 60 + "</body></html>",
}
STOPPED_SHARE = 0.99
PROVABLE_S = 60.0  # only so that a proof that never comes fails the journey: an idle machine takes a second
AT_ONCE = 8


class LawBroken(Exception):
    """What was found; `result` is everything that was measured."""

    def __init__(self, what: str, result: dict[str, Any]) -> None:
        super().__init__(what)
        self.result = result


async def journey(
    ready: dict[str, Any],
    people: int,
    opt_outs: int,
    *,
    quiet: bool,
    stopped_share: float = STOPPED_SHARE,
    patience_s: float = 0.0,
) -> dict[str, Any]:
    """Returns what was measured. `stopped_share`: how many of the answers must be *stopped*, not *recorded*. `patience_s`: for so long who
    is told *recorded* asks again; the last answer counts. Raises LawBroken."""
    console = Console(quiet=quiet, highlight=False)
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    file, addresses, unshown = people_csv(people)
    console.print(f"\nPostlaw demo: {people:,} people, {opt_outs} of whom say stop while the mail goes out.\n")
    async with client(ready["gateway"], ready["api_key"]) as api, httpx.AsyncClient(base_url=ready["inbox"], timeout=60) as inbox:
        with Progress(*columns, console=console) as progress:
            list_id = await api.create_list("Acme News")
            imported = await _import(api, list_id, file, progress)
            links = await _links(api, list_id, random.Random(1).sample(addresses, opt_outs * 2), progress)
            campaign_id = await api.create_campaign(list_id, "What is new", TEMPLATE)
            await api.launch(campaign_id)
            answers, campaign = await _send_and_stop(api, inbox, campaign_id, links, opt_outs, people, len(addresses), progress, patience_s)
        records = [HandOver(to, int(begin), int(end)) for begin, end, to, _ in await _records(inbox)]
        verdict = judge(answers, records)
        without_evidence = len({same(record.address) for record in records} & {same(address) for address in unshown})
        proof = await _proof(api, answers[0].event_id)
    result = {
        "import": imported,
        "totals": campaign["totals"],
        "verdict": asdict(verdict),
        "mailed_without_evidence": without_evidence,
        "proof": proof,
    }
    _print(console, result, verdict)
    broken = _broken(campaign, verdict, proof, stopped_share) or (
        "somebody was mailed without evidence of their consent" if without_evidence else ""
    )
    if broken:
        raise LawBroken(broken, result)
    return result


async def _import(api: RestClient, list_id: str, file: bytes, progress: Progress) -> dict[str, Any]:
    bar = progress.add_task("import", total=None)
    import_id = await api.start_import(list_id, file, ATTESTED)
    state: dict[str, Any] = {}
    async for state in api.watch_import(import_id):
        total = state["rows"] if state["state"] == "done" else None
        progress.update(bar, completed=state["rows"], total=total)
    if state["state"] != "done":
        raise ApiProblem(f"the import ended as {state['state']}: {state['failure']}")
    return {name: state[name] for name in ("rows", "added", "updated", "unchanged", "refused", "refused_by_reason", "warnings")}


async def _links(api: RestClient, list_id: str, addresses: list[str], progress: Progress) -> dict[str, str]:
    """Each person's own link: for half of them it must be known before any mail has reached them."""
    bar = progress.add_task("unsubscribe links", total=len(addresses))
    found: dict[str, str] = {}
    for start in range(0, len(addresses), 16):
        some = addresses[start : start + 16]
        for address, link in zip(some, await asyncio.gather(*(api.opt_out_link(list_id, a) for a in some)), strict=True):
            found[address] = link
        progress.update(bar, completed=len(found))
    return found


async def _send_and_stop(
    api: RestClient,
    inbox: httpx.AsyncClient,
    campaign_id: str,
    links: dict[str, str],
    opt_outs: int,
    people: int,
    mailable: int,
    progress: Progress,
    patience_s: float,
) -> tuple[list[Answered], dict[str, Any]]:
    sending = progress.add_task("send", total=people)
    stopping = progress.add_task("say stop", total=opt_outs)
    answers: list[Answered] = []
    waiting = list(links)
    quota = {True: opt_outs // 2, False: opt_outs - opt_outs // 2}

    async def one(address: str) -> None:
        answers.append(await api.insist(links[address], address, patience_s))
        progress.update(stopping, completed=len(answers))

    async def stop() -> None:
        """By turns some who have the mail and some who have not, a few at once, as the mail goes out."""
        mailed: set[str] = set()
        seen = 0
        while waiting and sum(quota.values()):
            fresh = await _records(inbox, seen)
            seen += len(fresh)
            mailed.update(same(to) for _, _, to, _ in fresh)
            if len(mailed) >= mailable - opt_outs:
                quota[True], quota[False] = sum(quota.values()), 0  # the mail was faster than we are
            chosen: list[str] = []
            for wanted in quota:
                some = [a for a in waiting if (same(a) in mailed) is wanted][: min(AT_ONCE, quota[wanted])]
                quota[wanted] -= len(some)
                chosen += some
            for address in chosen:
                waiting.remove(address)
            await asyncio.gather(*map(one, chosen))

    stopper = asyncio.create_task(stop())
    campaign = await api.campaign(campaign_id)
    while campaign["status"] == "sending":
        await asyncio.sleep(0.2)
        campaign = await api.campaign(campaign_id)
        progress.update(sending, completed=accounted(campaign["totals"]))
    await stopper
    return answers, campaign


async def _records(inbox: httpx.AsyncClient, after: int = 0) -> list[list[str]]:
    return [line.split("\t") for line in (await inbox.get("/records", params={"after": after})).text.splitlines()]


async def _proof(api: RestClient, event_id: str) -> dict[str, Any]:
    """The inclusion proof of one opt-out, verified here, by the hashes alone. ProofInvalid."""
    ends = time.monotonic() + PROVABLE_S
    while True:
        try:
            proof = await api.call("GET", f"/v1/audit/events/{event_id}/proof")
            break
        except ApiProblem as not_yet:
            if time.monotonic() > ends:
                raise ApiProblem(f"the opt-out {event_id} was not provable within {PROVABLE_S:.0f} s: {not_yet}") from not_yet
            await asyncio.sleep(0.1)
    entry, root = base64.b64decode(proof["entry"]), base64.b64decode(proof["checkpoint"]["root_hash"])
    hashes = [base64.b64decode(hash) for hash in proof["hashes"]]
    size = int(proof["checkpoint"]["size"])
    verify_inclusion(int(proof["index"]), size, leaf_hash(entry), hashes, root)
    return {"event_id": event_id, "index": int(proof["index"]), "size": size, "root": root.hex(), "hashes": len(hashes), "verified": True}


def _broken(campaign: dict[str, Any], verdict: Verdict, proof: dict[str, Any], stopped_share: float) -> str:
    totals = campaign["totals"]
    if campaign["status"] != "finished" or accounted(totals) != totals["audience"]:
        return "the recipients' final states do not add up to the audience"
    if verdict.mailed_after or verdict.under_way:
        return "somebody was mailed after the answer 'stopped'"
    if not verdict.holds:
        return "somebody was mailed twice, or more than once after 'recorded'"
    if verdict.stopped < stopped_share * verdict.opt_outs:
        wanted = f"{stopped_share:.0%} of {verdict.opt_outs}"
        return f"only {verdict.stopped} opt-outs were answered 'stopped' without any fault, fewer than {wanted}"
    return "" if proof["verified"] else "the proof does not verify"


def why_refused(by_reason: dict[str, Any]) -> dict[str, int]:
    """The law's codes, told in a few words: which regimes said it makes no other story."""
    told = {"they said stop": 0, "no evidence of consent": 0, "other reasons": 0}
    for reason, count in by_reason.items():
        stopped, unshown = reason.startswith(("SUPPRESSED", "withdrawn")), "EVIDENCE_MISSING" in reason
        told["they said stop" if stopped else "no evidence of consent" if unshown else "other reasons"] += int(count)
    return {why: count for why, count in told.items() if count}


def _print(console: Console, result: dict[str, Any], verdict: Verdict) -> None:
    imported, totals, proof = result["import"], result["totals"], result["proof"]
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_column(justify="left")

    def row(name: str, value: object, remark: str = "") -> None:
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value), remark)

    row("rows read", imported["rows"])
    row("  taken", imported["rows"] - imported["refused"])
    for reason, count in sorted(imported["refused_by_reason"].items()):
        row(f"  refused: {reason}", int(count))
    for warning, count in sorted(imported["warnings"].items()):
        row(f"  warned: {warning}", int(count), "the strictest law decides")
    row("audience", int(totals["audience"]))
    for state in FINAL:
        row(f"  {state}", int(totals[state]))
        if state == "refused":
            for why, count in why_refused(totals["refused_by_reason"]).items():
                row(f"    {why}", count)
    row("  together", accounted(totals), "adds up" if accounted(totals) == totals["audience"] else "DOES NOT ADD UP")
    row("opt-outs answered", verdict.opt_outs, f"{verdict.never_mailed} of them never got the mail")
    row("  stopped", verdict.stopped)
    row("  recorded", verdict.recorded)
    row("  median / p99", f"{verdict.median_ms:.0f} / {verdict.p99_ms:.0f} ms")
    row("mailed after an answer", verdict.mailed_after, "must be 0")
    row("under way at an answer", verdict.under_way, "must be 0")
    row("mailed twice", verdict.mailed_twice, "must be 0")
    row("mailed without evidence", result["mailed_without_evidence"], "must be 0")
    row(
        "proof of one opt-out",
        "verified",
        f"entry {proof['index']} of {proof['size']:,}, root {proof['root'][:16]}…, event {proof['event_id']}",
    )
    console.print()
    console.print(table)
