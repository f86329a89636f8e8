"""Every setting that a service reads, from the settings classes, and the chart's schema of them.

python -m tools.service_settings            writes them into deploy/helm/postlaw/values.schema.json
python -m tools.service_settings --check    whether they are there
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings

from postlaw_audit.service import AuditSettings
from postlaw_common.reconciling import ReconcilingSettings
from postlaw_common.settings import PlatformSettings
from postlaw_consent.service import ConsentSettings
from postlaw_gateway.service import GatewaySettings
from postlaw_identity.service import IdentitySettings
from postlaw_sending.settings import SendingSettings
from postlaw_subscribers.settings import SubscribersSettings

FILE = Path(__file__).resolve().parents[1] / "deploy" / "helm" / "postlaw" / "values.schema.json"
MODELS: tuple[type[BaseSettings], ...] = (
    PlatformSettings,
    ReconcilingSettings,
    IdentitySettings,
    SubscribersSettings,
    ConsentSettings,
    SendingSettings,
    AuditSettings,
    GatewaySettings,
)
BY_SERVICE = ("POSTLAW_GRPC_PORT", "POSTLAW_HTTP_PORT", "POSTLAW_PEER")  # a variable for each service: POSTLAW_PEER_CONSENT
FROM_OTHER_VALUES = {
    "POSTLAW_BUS", "POSTLAW_STORE", "POSTLAW_BLOBS", "POSTLAW_KEYS", "POSTLAW_STATE", "POSTLAW_PARTITIONS", "POSTLAW_PUBLIC_URL",
    "POSTLAW_LISTEN", "POSTLAW_HEALTH_PORT", "POSTLAW_TLS_CA", "POSTLAW_TLS_CERTIFICATE", "POSTLAW_TLS_KEY", "POSTLAW_UNREADY_S",
    "POSTLAW_DRAIN_S", "POSTLAW_OTLP_ENDPOINT", "POSTLAW_SENDING_ROLE", "POSTLAW_SENDING_INBOUND",
    "POSTLAW_SENDING_INBOUND_CERTIFICATE", "POSTLAW_SENDING_INBOUND_KEY", "POSTLAW_SENDING_RETURN_HOST", *BY_SERVICE,
}  # fmt: skip
KEPT = ("type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "pattern", "description", "const")


def variables() -> Iterator[tuple[str, bool, dict[str, Any]]]:
    """(variable, whether it is a secret, its JSON schema) of every setting, without what a default or a title would add."""
    for model in MODELS:
        prefix = str(model.model_config.get("env_prefix", ""))
        described = model.model_json_schema()
        for name, field in model.model_fields.items():
            schema: dict[str, Any] = described["properties"][name]
            kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
            kept = {key: value for key, value in {**schema, **(kinds[0] if kinds else {})}.items() if key in KEPT}
            yield f"{prefix}{name}".upper(), field.repr is False, kept


def definitions() -> dict[str, Any]:
    """The parts of the chart's schema that are made here: settings as values, and those that only a Secret may hold."""
    a_key = {"$ref": "#/$defs/secretKey"}
    rows = [row for row in variables() if row[0] not in FROM_OTHER_VALUES]
    return {
        "settings": {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: schema for name, secret, schema in rows if not secret},
        },
        "secretSettings": {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: {**a_key, "description": schema["description"]} for name, secret, schema in rows if secret},
        },
    }


def main() -> int:
    committed = FILE.read_text(encoding="utf-8")
    schema = json.loads(committed)
    schema["$defs"] |= definitions()
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    if "--check" in sys.argv[1:]:
        if text != committed:
            print("deploy/helm/postlaw/values.schema.json is stale; run `python -m tools.service_settings`")
        return int(text != committed)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
