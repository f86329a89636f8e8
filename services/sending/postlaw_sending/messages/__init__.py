"""A campaign is compiled once and rendered for each recipient into one whole RFC 5322 message."""

from __future__ import annotations

from postlaw_sending.messages.campaign import CompiledCampaign, Recipient, compile_campaign
from postlaw_sending.messages.templates import RenderFailed

__all__ = ["CompiledCampaign", "Recipient", "RenderFailed", "compile_campaign"]
