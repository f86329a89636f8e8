"""Failures in words that may be logged, parked and traced.

An exception's text is somebody else's: a parser quotes the address it could not read, a driver the document it could not write.
So only texts whose makers keep to our rule are repeated; of all others the type and the place in the code must do.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from postlaw_common.errors import PostlawError
from postlaw_common.telemetry.classified import loggable, loggable_text

_FRAMES = 30
_MEMBERS = 5  # of a group, in one line
_INTERPRETERS_OWN = (AttributeError, ImportError, NameError, TypeError, RecursionError)  # they name code, not data


def describe(failure: BaseException) -> str:
    """One line: type, text where it may be repeated, and where it was raised; of a group, its members. Never holds personal data."""
    if isinstance(failure, BaseExceptionGroup):
        return "; ".join(list(dict.fromkeys(map(describe, _members(failure))))[:_MEMBERS])
    text = _text(failure)
    frames = _frames(failure)
    return type(failure).__name__ + (f": {text}" if text else "") + (f" (at {frames[-1]})" if frames else "")


def rendered(failure: BaseException, depth: int = 0) -> dict[str, Any]:
    """The failure, its frames (no values of variables), its cause, and the members of a group: what a log line's `failure` holds."""
    shown: dict[str, Any] = {"type": type(failure).__name__, "frames": _frames(failure)}
    if text := _text(failure):
        shown["text"] = text
    cause = failure.__cause__ or (None if failure.__suppress_context__ else failure.__context__)
    if cause is not None and depth < 5:
        shown["cause"] = rendered(cause, depth + 1)
    if isinstance(failure, BaseExceptionGroup) and depth < 5:
        shown["members"] = [rendered(member, depth + 1) for member in failure.exceptions[:10]]
    return shown


def _members(failure: BaseException) -> Iterator[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        for member in failure.exceptions:
            yield from _members(member)
    else:
        yield failure


def _text(failure: BaseException) -> str:
    if isinstance(failure, PostlawError):
        return loggable_text(failure.detail)
    if isinstance(failure, OSError):
        return loggable_text(failure.strerror or "")
    if isinstance(failure, UnicodeError):
        return loggable_text(getattr(failure, "reason", ""))
    if isinstance(failure, _INTERPRETERS_OWN):
        return loggable_text(str(failure))
    if type(failure).__module__.partition(".")[0].startswith("postlaw"):
        return ", ".join(str(loggable(arg)) for arg in failure.args)
    code = getattr(failure, "code", None)  # grpc.aio.AioRpcError; its details may quote what the other side was sent
    if callable(code):
        return str(getattr(code(), "name", ""))
    return ""


def _frames(failure: BaseException) -> list[str]:
    return [f"{_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(failure.__traceback__)[-_FRAMES:]]


def _short(filename: str) -> str:
    return "/".join(PurePath(filename).parts[-3:])
