"""Consent on embedded adapters, with a sending service whose answer each test chooses. No other service runs: none is needed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw.sending.v1 import sending_pb2
from postlaw.sending.v1.sending_pb2_grpc import add_SendingServiceServicer_to_server
from postlaw_common.blobs import open_blobs
from postlaw_common.bus import Bus, Received, open_bus
from postlaw_common.caller import Actor, Caller, acting_as
from postlaw_common.keys import open_root_key
from postlaw_common.keys.platform import PLATFORM_KEYS, PlatformKeys
from postlaw_common.placement import Placement
from postlaw_common.platform import Platform
from postlaw_common.service import Service
from postlaw_common.store import Store, open_store
from postlaw_consent.outgoing import EVENTS
from postlaw_consent.service import ConsentSettings, build
from postlaw_consent.servicer import ConsentServicer

TENANT = "ten_test"
PARTITIONS = 4
