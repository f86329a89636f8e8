"""This service's own settings, from `POSTLAW_SUBSCRIBERS_…`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SubscribersSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="POSTLAW_SUBSCRIBERS_", env_ignore_empty=True, extra="ignore", frozen=True)

    upload_max_bytes: int = Field(default=4 << 30, ge=1 << 10, description="the largest upload in bytes, 1024 or more")
    imports_at_once: int = Field(default=2, ge=1, le=64, description="how many imports one process runs at a time, 1 to 64")
    import_lease_s: float = Field(
        default=10.0, gt=0, le=600, description="seconds without a sign of life after which an import is taken over"
    )
    outbox_sweep_s: float = Field(default=5.0, gt=0, le=600, description="seconds after which an event that was not published is")
