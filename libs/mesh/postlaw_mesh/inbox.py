"""The inbox of `postlaw dev`: the captured mail as pages that need no JavaScript, and the hand-offs as plain lines."""

from __future__ import annotations

import html
from email import message_from_bytes, policy

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from postlaw_mesh.catcher import Catcher

_STYLE = (
    "body{font:1rem/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "th{text-align:left;padding-right:1rem}iframe{width:100%;height:30rem}"
)


def inbox(catcher: Catcher) -> Starlette:
    """`/` the newest first, `/mail/{number}` one, `/mail/{number}/source` its bytes.

    `/records?after=N` every hand-off but the first N, a line each: begin, end (nanoseconds since the epoch), recipient, size (bytes).
    """

    async def newest(request: Request) -> Response:
        rows = "".join(
            f'<tr><td>{mail.number}</td><td><a href="/mail/{mail.number}">{html.escape(_subject(mail.message))}</a></td>'
            f"<td>{html.escape(', '.join(mail.recipients))}</td></tr>"
            for mail in list(catcher.last)[:-101:-1]
        )
        return _page("Inbox", f"<p>{catcher.count} captured, none sent on.</p><table><tr><th>No<th>Subject<th>To</tr>{rows}</table>")

    async def one(request: Request) -> Response:
        mail = catcher.message(request.path_params["number"])
        if mail is None:
            return PlainTextResponse("This mail is not kept any more; only the last 1,000 are.\n", status_code=404)
        message = message_from_bytes(mail.message, policy=policy.default)
        headers = "".join(f"<tr><th>{html.escape(name)}<td>{html.escape(str(value))}</tr>" for name, value in message.items())
        plain, rich = message.get_body(("plain",)), message.get_body(("html",))
        text = f"<pre>{html.escape(plain.get_content())}</pre>" if plain else ""
        frame = f'<iframe sandbox title="HTML part" srcdoc="{html.escape(rich.get_content())}"></iframe>' if rich else ""
        return _page(_subject(mail.message), f'<p><a href="/mail/{mail.number}/source">source</a></p><table>{headers}</table>{text}{frame}')

    async def source(request: Request) -> Response:
        mail = catcher.message(request.path_params["number"])
        return PlainTextResponse(mail.message) if mail else PlainTextResponse("not kept any more\n", status_code=404)

    async def records(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isdigit():
            return PlainTextResponse("after must be a number of records\n", status_code=400)
        found = catcher.records(int(after))
        return PlainTextResponse("".join(f"{r.begin_ns}\t{r.end_ns}\t{r.recipient}\t{r.size}\n" for r in found))

    routes = [
        Route("/", newest),
        Route("/mail/{number:int}", one),
        Route("/mail/{number:int}/source", source),
        Route("/records", records),
    ]
    return Starlette(routes=routes)


def _subject(message: bytes) -> str:
    return str(message_from_bytes(message, policy=policy.default)["subject"] or "(no subject)")


def _page(title: str, body: str) -> HTMLResponse:
    name = html.escape(title)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}</title><style>{_STYLE}</style>'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{name}</h1>{body}</body></html>'
    policy_header = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'"
    return HTMLResponse(page, headers={"content-security-policy": policy_header, "cache-control": "no-store"})
