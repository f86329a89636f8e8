"""`/docs`: the API's reference as one page, made from the OpenAPI document on the server. No script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import Any

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1.5rem}"
    "code,pre{font:.875rem/1.5 ui-monospace,monospace}pre{overflow:auto;border:1px solid #8886;padding:.75rem;border-radius:.375rem}"
    "h2{border-top:1px solid #8886;padding-top:1rem}summary{cursor:pointer;padding:.375rem 0}"
    ".verb{display:inline-block;min-width:4.5rem;font-weight:bold}table{border-collapse:collapse}"
    "td,th{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:top}"
)
DOCS_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_page(document: dict[str, Any]) -> bytes:
    by_tag: dict[str, list[str]] = {}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            if verb != "parameters":
                by_tag.setdefault(operation["tags"][0], []).append(_operation(path, verb, operation))
    sections = "".join(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>\n{"".join(rows)}' for tag, rows in by_tag.items())
    schemas = "".join(
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>\n'
        for name, schema in document["components"]["schemas"].items()
    )
    info = document["info"]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(info['title'])} API</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escape(info['title'])} API</h1>\n"
        f'<p>{escape(info["description"])}</p>\n<p>As <a href="/v1/openapi.json">OpenAPI 3.1</a>. '
        "Every call but the open ones carries <code>Authorization: Bearer pl_live_…</code>.</p>\n"
        f'{sections}<h2 id="schemas">Schemas</h2>\n{schemas}</main>\n</body>\n</html>\n'
    ).encode()


def _operation(path: str, verb: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<details><summary><span class="verb">{verb.upper()}</span> <code>{escape(path)}</code> {escape(operation["summary"])}</summary>\n'
    ]
    if operation.get("description"):
        parts.append(f"<p>{escape(operation['description'])}</p>\n")
    if operation.get("x-scopes"):
        parts.append(f"<p>Scopes: <code>{escape(', '.join(operation['x-scopes']))}</code></p>\n")
    if operation.get("parameters"):
        parts.append("<table>\n<tr><th>Parameter</th><th>In</th><th>Value</th></tr>\n")
        for parameter in operation["parameters"]:
            value = escape(json.dumps(parameter["schema"]))
            parts.append(
                f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{parameter['in']}</td><td><code>{value}</code></td></tr>\n"
            )
        parts.append("</table>\n")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body, <code>{escape(kind)}</code>:</p>{_json(content['schema'])}")
    for status, answer in operation["responses"].items():
        kinds = "".join(f" <code>{escape(kind)}</code> {_brief(content['schema'])}" for kind, content in answer.get("content", {}).items())
        parts.append(f"<p>{escape(status)}: {escape(answer['description'])}{kinds}</p>\n")
    parts.append("</details>\n")
    return "".join(parts)


def _brief(schema: dict[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>' if name else ""


def _json(schema: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(schema, indent=2, ensure_ascii=False))}</pre>\n"
