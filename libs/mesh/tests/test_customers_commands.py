"""Commands of a customer's own, over the REST API of a mesh that runs."""

from __future__ import annotations

import asyncio
import gzip
import json
import smtplib
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postlaw_common.free_ports import free_port
from postlaw_common.settings import PlatformSettings
from postlaw_common.testing.promises import promise
from postlaw_mesh.command import main
from postlaw_mesh.dev import Ready, development_mesh, relay_on_loopback
from postlaw_mesh.rest_client import ApiProblem, client
from postlaw_sending.testing.dns_server import DnsServer, dns_server
from services.sending.tests.reports.test_reports import dmarc, mail, row, zipped


async def said(ready: Ready, *words: str, key: str | None = None) -> Result:
    """As somebody types it in a shell that has the key."""
    env = {"POSTLAW_API_KEY": ready.api_key if key is None else key, "POSTLAW_PUBLIC_URL": ready.gateway}
    return await asyncio.to_thread(CliRunner().invoke, main, list(words), env=env)


def publish(server: DnsServer, domain: dict[str, list[dict[str, str]]]) -> None:
    for record in domain["dns_records"]:
        server.put_text(record["name"], record["value"])
    server.put_text("shop.example", "v=spf1 ip4:192.0.2.1 -all")
    server.put_text("_dmarc.shop.example", "v=DMARC1; p=none")
    server.put("shop.example", "A", "192.0.2.2")


@promise("M1")
async def test_domains_are_checked_and_campaigns_looked_at_from_a_shell_and_the_exit_code_says_yes_or_no(tmp_path: Path) -> None:
    async with dns_server() as server:
        sending = relay_on_loopback("127.0.0.1", 9).model_copy(update={"dns": server.address, "unverified_domains": "deny"})
        settings = PlatformSettings(state=tmp_path, http_port={"gateway": 0, "inbox": 0})
        async with development_mesh(settings, sending) as (_, ready), client(ready.gateway, ready.api_key) as api:
            registered = await api.call("POST", "/v1/sender-domains", json={"domain": "shop.example"})
            missing = await said(ready, "domains", "check", "shop.example")
            assert missing.exit_code == 3 and "unverified" in missing.output and "Publish" in missing.output
            publish(server, registered)
            assert (await said(ready, "domains", "check", "shop.example")).exit_code == 0
            listed = await said(ready, "domains", "list", "--json")
            assert [json.loads(line)["state"] for line in listed.output.splitlines()] == ["verified"]
            rotated = await said(ready, "domains", "rotate", "shop.example")
            assert rotated.exit_code == 0 and rotated.output.count("  waits  ") == 2 and rotated.output.count("  signs  ") == 2

            drafted = await api.create_campaign(await api.create_list("News"), "News", {"subject": "News", "text": "News."})
            looked = await said(ready, "checklist", drafted)
            assert looked.exit_code == 3 and "fail  domain: " in looked.output
            found = json.loads((await said(ready, "checklist", drafted, "--json")).output)
            assert found["passed"] is False

            told = {"url": "https://shop.example/hook", "event_types": ["person.opted_out"]}
            webhook_id = (await api.call("POST", "/v1/webhooks", json=told))["webhook"]["webhook_id"]
            line = f"{webhook_id}  https://shop.example/hook  person.opted_out  0 waiting"
            assert (await said(ready, "webhooks", "list")).output.strip() == line
            assert (await said(ready, "webhooks", "redeliver", webhook_id)).output.strip() == line
            assert (await said(ready, "webhooks", "redeliver", "whk_none")).exit_code == 1

            strange = await said(ready, "checklist", "../../lists")
            assert strange.exit_code == 1 and "/v1/campaigns/..%2F..%2Flists/checklist: 404" in strange.output
            nobodys = await said(ready, "domains", "list", key="plk_nobody")
            assert nobodys.exit_code == 1 and "401" in nobodys.output


@pytest.mark.parametrize("words", ["domains list", "checklist cmp_1", "webhooks redeliver whk_1"])
def test_without_a_key_nothing_is_asked_and_it_is_said_where_one_goes(words: str, tmp_path: Path) -> None:
    empty = tmp_path / "key"
    empty.write_text("\n")
    for more in ([], ["--key-file", str(empty)]):
        done = CliRunner().invoke(main, [*words.split(), *more], env={"POSTLAW_API_KEY": None})
        assert done.exit_code == 2 and "POSTLAW_API_KEY" in done.output


def test_a_gateway_that_is_away_is_one_clear_line() -> None:
    done = CliRunner().invoke(main, ["domains", "list", "--url", "http://127.0.0.1:9"], env={"POSTLAW_API_KEY": "plk_x"})
    assert done.exit_code == 1 and len(done.output.splitlines()) == 1


@promise("M1")
async def test_what_receivers_report_of_a_domain_is_shown_to_whoever_registered_it_alone(tmp_path: Path) -> None:
    port = free_port()
    inbound = {"inbound": f"127.0.0.1:{port}", "return_host": "returns.postlaw.example"}
    settings = PlatformSettings(state=tmp_path, http_port={"gateway": 0, "inbox": 0})
    sending = relay_on_loopback("127.0.0.1", 9).model_copy(update=inbound)
    async with development_mesh(settings, sending) as (_, ready), client(ready.gateway, ready.api_key) as api:
        path = "/v1/sender-domains/shop.example/reports"
        with pytest.raises(ApiProblem, match="404"):
            await api.call("GET", path)
        await api.call("POST", "/v1/sender-domains", json={"domain": "shop.example"})
        to = (await api.call("GET", path))["report_to"]
        begins_s = int(time.time()) // 86_400 * 86_400 - 86_400
        report = dmarc(row(5), row(2, dkim="fail", domain="news.shop.example"), row(9, domain="other.example"), begins_s=begins_s)
        for _ in range(2):  # which a server that does not hear our answer does
            assert await delivered(port, to, mail(gzip.compress(report))) == 250
        assert await delivered(port, to.upper(), mail(zipped(dmarc(id="43", begins_s=begins_s + 86_400)))) == 250
        strange = to[:-30] + ("0" if to[-30] != "0" else "1") + to[-29:]
        refused = {
            "a forged address": (strange, mail(report)),
            "a domain that they did not register": (to, mail(dmarc(row(domain="other.example"), begins_s=begins_s))),
            "a time that cannot be meant": (to, mail(dmarc(id="44", begins_s=begins_s + 30 * 86_400))),
            "no report": (to, b"Subject: hello\r\n\r\nhi\r\n"),
        }
        assert {why: await delivered(port, *sent) for why, sent in refused.items()} == dict.fromkeys(refused, 550)

        found = await api.call("GET", path, params={"page_size": 1})
        first = found["reports"][0]
        assert (first["kind"], int(first["passed"]), int(first["failed"])) == ("dmarc", 5, 2)
        assert first["causes"] == [{"cause": "192.0.2.9", "count": 2}]
        rest = await api.call("GET", path, params={"page_token": found["next_page_token"]})
        assert [one["report_id"] for one in rest["reports"]] == ["43"]
        shown = await said(ready, "domains", "reports", "shop.example", "--since", first["day"])
        assert "dmarc  5 passed, 2 failed  provider.example  192.0.2.9 (2)" in shown.output and to in shown.output
        assert (await said(ready, "domains", "reports", "shop.example", "--since", "yesterday")).exit_code == 1


async def delivered(port: int, to: str, content: bytes) -> int:
    """The reply's code, by which the receiver knows."""

    def send() -> int:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
            server.ehlo()
            server.mail("")
            code, _ = server.rcpt(to)
            return server.data(content)[0] if code == 250 else code

    return await asyncio.to_thread(send)
