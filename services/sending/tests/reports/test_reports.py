"""What receivers report is read, and nothing that a stranger sends as a report does harm."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postlaw_common.store import open_store
from postlaw_common.testing.promises import promise
from postlaw_sending.reports import documents
from postlaw_sending.reports.dmarc import read_dmarc
from postlaw_sending.reports.documents import REPORTS, Full, Reports
from postlaw_sending.reports.reading import read_report, report_in
from postlaw_sending.reports.report import LARGEST_COUNT, Figures, Malformed
from postlaw_sending.reports.tls import read_tls
from postlaw_sending.reports.unpacking import LARGEST, unpacked

DAY_US = 86_400_000_000
ROW = """<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>{disposition}</disposition>
<dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row><identifiers><header_from>{domain}</header_from></identifiers></record>"""


def row(count: int = 1, *, dkim: str = "pass", spf: str = "fail", disposition: str = "none", domain: str = "shop.example") -> str:
    return ROW.format(ip="192.0.2.9", count=count, dkim=dkim, spf=spf, disposition=disposition, domain=domain)


def dmarc(*rows: str, id: str = "42", begins_s: int = 1_790_000_000, root: str = "<feedback>", before: str = "") -> bytes:
    """As RFC 7489 appendix C has it."""
    return f"""<?xml version="1.0" encoding="UTF-8" ?>{before}{root}<report_metadata><org_name>provider.example</org_name>
<email>noreply@provider.example</email><report_id>{id}</report_id><date_range><begin>{begins_s}</begin><end>{begins_s + 86_399}</end>
</date_range></report_metadata><policy_published><domain>shop.example</domain><p>none</p></policy_published>
{"".join(rows or [row()])}</feedback>""".encode()


def tls(**changed: object) -> bytes:
    """RFC 8460 appendix B, shortened."""
    told: dict[str, object] = {
        "organization-name": "Company-X",
        "date-range": {"start-datetime": "2026-11-25T00:00:00Z", "end-datetime": "2026-11-25T23:59:59Z"},
        "contact-info": "sts-reporting@company-x.example",
        "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": "Shop.example", "mx-host": ["mx"]},
                "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
                "failure-details": [
                    {"result-type": "certificate-expired", "sending-mta-ip": "2001:db8::1", "failed-session-count": 100},
                    {"result-type": "starttls-not-supported", "failed-session-count": 200},
                    {"result-type": "starttls-not-supported", "failed-session-count": 3},
                ],
            }
        ],
    }
    return json.dumps(told | changed).encode()


_NO_SESSIONS = {"total-successful-session-count": 0, "total-failure-session-count": 0}


def zipped(data: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("report.xml", data)
    return packed.getvalue()


def mail(attached: bytes, type: str = "application/octet-stream") -> bytes:
    encoded = base64.encodebytes(attached).decode().replace("\n", "\r\n")
    return (
        "From: noreply@provider.example\r\nSubject: Report Domain: shop.example\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="x"\r\n'
        f"\r\n--x\r\nContent-Type: text/plain\r\n\r\nThis is a report.\r\n--x\r\nContent-Type: {type}\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n--x--\r\n"
    ).encode()


def test_messages_are_counted_by_how_dmarc_found_them_and_by_where_those_that_failed_came_from() -> None:
    """RFC 7489 §7.2."""
    rows = [row(10), row(4, spf="pass"), row(2, dkim="fail", disposition="quarantine"), row(1, dkim="fail", disposition="reject")]
    for root in ("<feedback>", '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">'):
        report = read_dmarc(dmarc(*rows, row(7, domain="News.Shop.example."), root=root))
        assert (report.reporter, report.report_id, report.ends_s - report.begins_s) == ("provider.example", "42", 86_399)
        assert report.domains == {
            "shop.example": Figures(14, 3, 14, 4, 2, 1, Counter({"192.0.2.9": 3})),
            "news.shop.example": Figures(7, 0, 7, 0),
        }


def test_sessions_are_counted_by_how_they_ended() -> None:
    """RFC 8460 §4.4, by the result types of §4.3."""
    report = read_tls(tls())
    causes = Counter({"starttls-not-supported": 203, "certificate-expired": 100})
    assert report.domains == {"shop.example": Figures(5326, 303, causes=causes)}
    assert report.ends_s - report.begins_s == 86_399


@pytest.mark.parametrize("data", [dmarc(), tls()], ids=["dmarc", "tls"])
def test_a_report_is_found_however_it_is_packed_and_whatever_it_is_called(data: bytes) -> None:
    """RFC 7489 §7.2.1.1: in one file."""
    found = [report_in(mail(packed, type)) for packed, type in (
        (data, "text/xml"), (gzip.compress(data), "application/tlsrpt+gzip"), (zipped(data), "application/zip"),
        (zipped(data, zipfile.ZIP_STORED), "image/png"),
    )]  # fmt: skip
    assert all(report == read_report(data) for report in found)


@promise("S8")
@pytest.mark.parametrize(
    "bomb",
    [
        gzip.compress(dmarc() + b" " * LARGEST),
        zipped(dmarc() + b" " * LARGEST),
        zipped(dmarc(), zipfile.ZIP_BZIP2),
        zipped(dmarc(), zipfile.ZIP_LZMA),
        b"PK\x03\x04" + b"PK\x01\x02" * 1000,
        gzip.compress(dmarc())[:-9],
        dmarc(before='<!DOCTYPE feedback [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>', id="&b;"),
        dmarc(before='<!DOCTYPE feedback [<!ENTITY x SYSTEM "file:///etc/passwd">]>', id="&x;"),
        dmarc(before='<!DOCTYPE feedback SYSTEM "http://127.0.0.1/x.dtd">'),
        dmarc("<a>" * 10_000 + "</a>" * 10_000),
        gzip.compress(dmarc("<a/>" * 300_000)),
        dmarc(row(LARGEST_COUNT + 1)),
        dmarc(row().replace("<count>1<", "<count>-1<")),
        dmarc(row(dkim="fail").replace("192.0.2.9", "<b>nowhere</b>")),
        dmarc(root="<html>"),
        gzip.compress(dmarc(row(domain="a." * 100_000))),
        tls(policies=[{"policy": {"policy-domain": "a." * 999}, "summary": _NO_SESSIONS}]),
        tls(policies="none"),
        b'{"policies":' + b"[" * 100_000,
        tls(policies=[{"policy": {"policy-domain": "a"}, "summary": {"total-successful-session-count": 1e30}}]),
        b"",
    ],
    ids=range(21),
)
def test_bombs_entities_and_what_is_no_report_are_refused(bomb: bytes) -> None:
    with pytest.raises(Malformed):
        report_in(mail(bomb))


def test_what_a_receiver_calls_itself_cannot_write_to_a_terminal() -> None:
    told = read_tls(tls(**{"organization-name": "Evil\x1b[2J\nCorp" + "x" * 1000}))
    assert told.reporter.startswith("Evil[2J Corp") and len(told.reporter) == 200


async def test_a_flood_of_reports_is_kept_to_so_many_a_day_and_none_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_A_DAY", 2)
    store = open_store("sqlite:", "sending", state=str(tmp_path))
    await store.start([REPORTS])
    now_us = 1_790_000_000_000_000
    reports = Reports(lambda: store.collection(REPORTS.name), lambda: now_us)

    async def keep(id: str) -> None:
        await reports.keep("ten_1", "shop.example", read_dmarc(dmarc(id=id)), Figures(1))

    await keep("1")
    await keep("2")
    with pytest.raises(Full):
        await keep("3")
    now_us += DAY_US
    await keep("3")
    await keep("1")
    assert [report.report_id for _, report in await reports.page("ten_1", "shop.example", after="", limit=10)].count("1") == 1
    now_us += 90 * DAY_US
    assert await reports.forget() == 2
    assert [report.report_id for _, report in await reports.page("ten_1", "shop.example", after="", limit=10)] == ["3"]
    await store.close()


_WHOLE = [dmarc(row(3), row(1, dkim="fail")), tls()]
_PACKED = [*_WHOLE, *map(gzip.compress, _WHOLE), *map(zipped, _WHOLE)]


@settings(max_examples=200)
@given(
    whole=st.sampled_from(_PACKED),
    cuts=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=12)), max_size=4),
)
def test_whatever_is_done_to_a_report_it_is_read_or_refused(whole: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    damaged = bytearray(whole)
    for at, length, instead in cuts:
        damaged[at : at + length] = instead
    for data in (bytes(damaged), gzip.compress(bytes(damaged))):
        try:
            report = read_report(data)
        except Malformed:
            continue
        for figures in report.domains.values():
            assert all(0 <= count <= LARGEST_COUNT for count in (figures.passed, figures.failed, *figures.causes.values()))


@given(st.binary(max_size=3000))
def test_any_bytes_are_unpacked_to_no_more_than_a_report_or_refused(data: bytes) -> None:
    for packed in (data, b"\x1f\x8b" + data, b"PK\x03\x04" + data, zlib.compress(data)):
        try:
            assert len(unpacked(packed)) <= LARGEST
        except Malformed:
            continue
