"""Addresses as an SMTP command has them."""

from __future__ import annotations

import pytest

from postlaw_sending.delivery.paths import BadAddress, path


@pytest.mark.parametrize(
    ("address", "written", "international"),
    [
        ("jane@example.com", "jane@example.com", False),
        ('"jane doe"@example.com', '"jane doe"@example.com', False),
        ("", "", False),
        ("jane@bücher.example", "jane@xn--bcher-kva.example", False),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example", True),
    ],
)
def test_an_address_goes_into_a_command(address: str, written: str, international: bool) -> None:
    """RFC 5321 §4.1.2, with the null path of §4.5.5; RFC 5891 §4 for domains; RFC 6531 §3.3 for what stands before the @."""
    assert path(address.encode()) == (written.encode(), international)


@pytest.mark.parametrize(
    "address", ["a@b>\r\nRCPT TO:<c@d", "a b@example.com", "a@b\0", '"a\r"@b.example', "nobody", "<a@b>", "a@b.example\n"]
)
def test_what_would_break_out_of_a_command_is_refused(address: str) -> None:
    """RFC 5321 §4.1.2."""
    with pytest.raises(BadAddress):
        path(address.encode())
