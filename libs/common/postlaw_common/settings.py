"""Settings of the platform, from environment variables `POSTLAW_…`; a wrong one stops the start with one clear line.

Secrets come by environment or file, never by flag. A service's own settings are read by its own `build`, through `load`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

S = TypeVar("S", bound=BaseSettings)
Port = Annotated[int, Field(ge=0, le=65535)]
Address = Annotated[str, Field(pattern=r"^(dns:///)?[^\s/:]+:\d{1,5}$")]


class WrongSettings(Exception):
    """The message is one line: the variable, what is wrong with it, and what to do."""


class PlatformSettings(BaseSettings):
    """Every description ends an error line after "give ", so it says what a right value looks like."""

    model_config = SettingsConfigDict(
        env_prefix="POSTLAW_", env_nested_delimiter="_", env_nested_max_split=1, env_ignore_empty=True, extra="ignore", frozen=True
    )

    bus: str = Field(default="embedded:", description="embedded: or kafka://host:port,…")
    store: str = Field(default="sqlite:", description="sqlite: or mongodb://…")
    blobs: str = Field(default="file:", description="file: or s3://bucket/prefix")
    keys: str = Field(default="file:", description="file: or awskms:KEY-ID")
    state: Path = Field(default=Path(".state"), description="a directory that this process can write")
    partitions: int | None = Field(default=None, ge=1, le=1024, description="a number from 1 to 1024, what the installation began with")
    public_url: str = Field(default="http://localhost:8080", description="the address that people reach the gateway by, https://host")

    listen: str = Field(default="127.0.0.1", description="the address to listen on; 0.0.0.0 in a container")
    grpc_port: Mapping[str, Port] = Field(default_factory=dict, description="a port from 0 (any free one) to 65535, for each service")
    http_port: Mapping[str, Port] = Field(default_factory=dict, description="a port from 0 (any free one) to 65535, for each service")
    health_port: Port | None = Field(default=None, description="a port for /livez and /readyz, or leave it out")
    trusted_proxies: str = Field(default="", description="addresses or networks of the proxies in front, with commas between them")
    peer: Mapping[str, Address] = Field(default_factory=dict, description="host:port, for each service")

    tls_ca: Path | None = Field(default=None, description="the PEM file of the mesh's certificate authority")
    tls_certificate: Path | None = Field(
        default=None,
        description="the PEM file of this service's certificate; {service} stands for each one's name, where there are several",
    )
    tls_key: Path | None = Field(default=None, description="the PEM file of this service's private key; {service} as above")

    unready_s: float = Field(default=0.0, ge=0, le=60, description="seconds between not-ready and closing, for balancers to take notice")
    drain_s: float = Field(default=20.0, gt=0, le=3600, description="seconds that stopping may take")
    otlp_endpoint: str = Field(default="", description="the collector's address, http://host:4317, or leave it out")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="debug, info, warning or error")

    @field_validator("bus", "store", "blobs", "keys")
    @classmethod
    def _known_scheme(cls, value: str, info: object) -> str:
        name = str(getattr(info, "field_name", ""))
        schemes = {
            "bus": ("embedded:", "kafka://"),
            "store": ("sqlite:", "mongodb://", "mongodb+srv://"),
            "blobs": ("file:", "s3://"),
            "keys": ("file:", "awskms:"),
        }[name]
        if not value.startswith(schemes):
            raise ValueError(f"it must begin with {' or '.join(schemes)}")
        return value

    @field_validator("public_url", "otlp_endpoint")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("it is not a web address")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _whole_tls(self) -> PlatformSettings:
        given = [self.tls_ca, self.tls_certificate, self.tls_key]
        if any(given) and not all(given):
            raise ValueError("POSTLAW_TLS_CA, POSTLAW_TLS_CERTIFICATE and POSTLAW_TLS_KEY belong together; give all three or none")
        return self

    def http_port_of(self, service: str) -> int:
        """The gateway, the only door, has a port of its own; another service's app takes any free one unless it is named."""
        return self.http_port.get(service, 8080 if service == "gateway" else 0)


def load(settings: type[S]) -> S:
    """The settings from the environment. Raises WrongSettings."""
    prefix = settings.model_config.get("env_prefix", "")
    try:
        return settings()
    except ValidationError as wrong:
        raise WrongSettings("; ".join(_line(settings, prefix, error) for error in wrong.errors(include_url=False))) from None
    except SettingsError as wrong:
        found = re.search(r'field "(\w+)"', str(wrong))
        name = found.group(1) if found else ""
        raise WrongSettings(f"{prefix}{name.upper()} cannot be read; give {_wanted(settings, name)}") from None


def _line(settings: type[BaseSettings], prefix: str, error: Mapping[str, object]) -> str:
    place = error["loc"]
    said = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    said = said[:1].lower() + said[1:] if said.startswith(("Should", "Field")) else said
    if not isinstance(place, tuple) or not place:
        return said
    field = str(place[0])
    variable = prefix + "_".join(str(part) for part in place).upper()
    if error["type"] == "missing":
        return f"{variable} is missing; give {_wanted(settings, field)}"
    return f"{variable} is {_shown(settings, field, error['input'])}: {said}; give {_wanted(settings, field)}"


def _wanted(settings: type[BaseSettings], field: str) -> str:
    known = settings.model_fields.get(field)
    return (known.description if known else None) or "another value"


def _shown(settings: type[BaseSettings], field: str, value: object) -> str:
    """The wrong value, but no secret and no password within an address."""
    known = settings.model_fields.get(field)
    if known is None or "Secret" in str(known.annotation) or not isinstance(value, str):
        return "a wrong value"
    return repr(re.sub(r"//[^/@]*@", "//…@", value))
