"""A client of the REST API, for the demo and the benchmarks: what a customer's back end would write."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from postlaw_common.http_client import httpx
from postlaw_mesh.demo.law import Answered

FINAL = ("sent", "refused", "failed", "bounced", "expired", "unknown")


class ApiProblem(Exception):
    """The API answered with a problem; the message is its title and detail. `type`: the end of the problem's type, such as `not-found`."""

    def __init__(self, message: str, type: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.type = type
        self.detail = detail


class RestClient:
    """Every method raises ApiProblem where the API does not answer as asked."""

    def __init__(self, http: httpx.AsyncClient, clicks: aiohttp.ClientSession) -> None:
        self._http = http
        self._clicks = clicks  # many a second, beside a mesh that has the same processors: a click by httpx costs four times as much

    async def call(self, verb: str, path: str, **request: Any) -> dict[str, Any]:
        """Waits and asks again where a limit or a restart says so."""
        response = await self._answered(verb, path, **request)
        return response.json() if response.content else {}

    async def download(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        """`body` None: of a file that only is to be got."""
        return (await self._answered("GET", path) if body is None else await self._answered("POST", path, json=body)).content

    async def evidence_of_mail(self, mail: bytes) -> bytes:
        """The bundle. Raises ApiProblem of type `not-ours`, too."""
        headers = {"content-type": "message/rfc822"}
        return (await self._answered("POST", "/v1/evidence/mail/bundle", content=mail, headers=headers)).content

    async def _answered(self, verb: str, path: str, **request: Any) -> httpx.Response:
        while True:
            response = await self._http.request(verb, path, **request)
            if response.status_code in (429, 503):
                await asyncio.sleep(float(response.headers.get("retry-after", "1")))
                continue
            if response.is_error:
                problem = response.json() if "json" in response.headers.get("content-type", "") else {"detail": response.text}
                said = " ".join(str(problem.get(name, "")) for name in ("title", "detail", "fields"))
                kind = str(problem.get("type", "")).rpartition("/")[2]
                raise ApiProblem(f"{verb} {path}: {response.status_code} {said}", kind, str(problem.get("detail", "")))
            return response

    async def create_list(self, name: str) -> str:
        return (await self.call("POST", "/v1/lists", json={"name": name}))["list_id"]

    async def start_import(self, list_id: str, file: bytes | AsyncIterable[bytes], consent: Mapping[str, str]) -> str:
        """`consent`: what is attested of every row, lists with commas between their items."""
        settings = {"list_id": list_id, "filename": "people.csv", **{f"consent.{name}": value for name, value in consent.items()}}
        headers = {"content-type": "text/csv"}
        return (await self.call("POST", "/v1/imports", params=settings, content=file, headers=headers))["import_id"]

    async def watch_import(self, import_id: str) -> AsyncGenerator[dict[str, Any]]:
        """Its state again and again, until it is done."""
        while True:
            state = await self.call("GET", f"/v1/imports/{import_id}")
            yield state
            if state["state"] not in ("queued", "running"):
                return
            await asyncio.sleep(0.2)

    async def create_campaign(self, list_id: str, name: str, template: dict[str, str]) -> str:
        sender = {"name": "Acme News", "address": "news@acme.example", "postal_address": "Acme Ltd, 1 High Street, London N1 1AA"}
        body = {"name": name, "list_id": list_id, "sender": sender, "template": template}
        return (await self.call("POST", "/v1/campaigns", json=body))["campaign_id"]

    async def launch(self, campaign_id: str) -> None:
        await self.call("POST", f"/v1/campaigns/{campaign_id}/launch")

    async def campaign(self, campaign_id: str) -> dict[str, Any]:
        return await self.call("GET", f"/v1/campaigns/{campaign_id}")

    async def opt_out_link(self, list_id: str, address: str) -> str:
        body = {"address": address, "scope": {"list_id": list_id}}
        return (await self.call("POST", "/v1/opt-out-links", json=body))["url"]

    async def say_stop(self, link: str, address: str) -> Answered:
        """The one click of RFC 8058, as a mailbox provider does it: no cookie, no redirect."""
        began = time.perf_counter()
        path = httpx.URL(link).raw_path.decode()
        while True:
            async with self._clicks.post(path, data={"List-Unsubscribe": "One-Click"}, allow_redirects=False) as response:
                answer = await response.text()
            if response.status != 503:  # no answer yet: whoever clicks for a person asks again, and so do we
                break
            await asyncio.sleep(0.1)
        took = time.perf_counter() - began
        at = time.time_ns()
        if not response.ok:
            raise ApiProblem(f"one click: {response.status} {answer[:200]}")
        receipt = json.loads(answer)
        return Answered(address, receipt["outcome"], at, took * 1000, receipt["event_id"])

    async def insist(self, link: str, address: str, patience_s: float) -> Answered:
        """As `say_stop`, and again for so long while the answer is *recorded*; the last one. `took_ms`: of that one alone."""
        ends = time.monotonic() + patience_s
        while True:
            answer = await self.say_stop(link, address)
            if answer.outcome == "stopped" or time.monotonic() >= ends:
                return answer
            await asyncio.sleep(0.3)


def accounted(totals: dict[str, Any]) -> int:
    """People in a final state."""
    return sum(int(totals.get(state, 0)) for state in FINAL)


@asynccontextmanager
async def client(gateway: str, api_key: str) -> AsyncGenerator[RestClient]:
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=gateway, headers={"authorization": f"Bearer {api_key}"}, timeout=60, limits=limits) as http:
        connector, patience = aiohttp.TCPConnector(limit=64), aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(
            gateway, connector=connector, timeout=patience, headers={"accept": "application/json"}, cookie_jar=aiohttp.DummyCookieJar()
        ) as clicks:
            yield RestClient(http, clicks)
