"""A wrong setting is one clear line: the variable, what was wrong, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from postlaw_common.settings import PlatformSettings, WrongSettings, load


class ToySettings(BaseSettings):
    """A service's own settings."""

    model_config = SettingsConfigDict(env_prefix="POSTLAW_TOY_")
    relay: str = Field(description="host:port of the relay")
    password: SecretStr = Field(default=SecretStr(""), min_length=8, description="at least 8 characters")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_defaults_need_nothing() -> None:
    settings = load(PlatformSettings)
    assert (settings.bus, settings.store, settings.blobs, settings.keys) == ("embedded:", "sqlite:", "file:", "file:")
    assert (settings.http_port_of("gateway"), settings.http_port_of("inbox")) == (8080, 0)


def test_ports_and_peers_are_named_by_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLAW_PEER_PRIVACY_REQUESTS", "privacy-requests:7000")
    monkeypatch.setenv("POSTLAW_PEER_CONSENT", "dns:///consent:7000")
    monkeypatch.setenv("POSTLAW_GRPC_PORT_CONSENT", "7000")
    settings = load(PlatformSettings)
    assert settings.peer == {"privacy_requests": "privacy-requests:7000", "consent": "dns:///consent:7000"}
    assert settings.grpc_port == {"consent": 7000}


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("POSTLAW_BUS", "rabbit://x", "it must begin with embedded: or kafka://; give embedded: or kafka://host:port"),
        ("POSTLAW_PARTITIONS", "many", "give a number from 1 to 1024"),
        ("POSTLAW_PARTITIONS", "0", "give a number from 1 to 1024"),
        ("POSTLAW_PUBLIC_URL", "example.org", "it is not a web address"),
        ("POSTLAW_PEER_CONSENT", "consent", "give host:port"),
        ("POSTLAW_GRPC_PORT_CONSENT", "99999", "give a port from 0"),
        ("POSTLAW_HTTP_PORT", "80", "for each service"),
        ("POSTLAW_LOG_LEVEL", "loud", "give debug, info, warning or error"),
        ("POSTLAW_DRAIN_S", "-1", "give seconds"),
        ("POSTLAW_TLS_CA", "/some/ca.pem", "belong together"),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_name(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(WrongSettings) as wrong:
        load(PlatformSettings)
    line = str(wrong.value)
    assert line.startswith(variable)
    assert said in line
    assert "\n" not in line


def test_a_password_in_an_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLAW_STORE", "mysql://app:hunter2@db/x")
    with pytest.raises(WrongSettings) as wrong:
        load(PlatformSettings)
    assert "hunter2" not in str(wrong.value)


def test_a_services_own_settings_go_the_same_way_and_a_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongSettings, match="POSTLAW_TOY_RELAY is missing; give host:port of the relay"):
        load(ToySettings)
    monkeypatch.setenv("POSTLAW_TOY_RELAY", "mx:25")
    monkeypatch.setenv("POSTLAW_TOY_PASSWORD", "short")
    with pytest.raises(WrongSettings) as wrong:
        load(ToySettings)
    assert "POSTLAW_TOY_PASSWORD" in str(wrong.value)
    assert "short'" not in str(wrong.value)
