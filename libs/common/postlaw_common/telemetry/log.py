"""Log lines: one JSON object a line on standard error, coloured text on a terminal; never a classified field (classified.py)."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

from opentelemetry import trace

from postlaw_common.caller import maybe_current
from postlaw_common.memory import without
from postlaw_common.telemetry.classified import loggable, withheld_names
from postlaw_common.telemetry.failures import rendered

with without("rich"):  # for tracebacks in a terminal, which are ours (failures.py): 5 MB of each process
    import structlog

Fields = MutableMapping[str, Any]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_OUR_OWN = frozenset({"event", "level", "timestamp", "logger", "tenant_id", "actor", "trace_id", "span_id", "alert"})
_threshold = {"level": LEVELS["info"]}


class Logger(structlog.BoundLoggerBase):
    """Events are fixed phrases; what varies goes into fields, so that it can be withheld: `log.info("key revoked", api_key_id=id)`."""

    def bind(self, **fields: Any) -> Logger:
        return Logger(self._logger, self._processors, {**self._context, **fields})

    def debug(self, event: str, **fields: Any) -> None:
        self._say("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._say("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._say("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._say("error", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error with the exception that is being handled."""
        self._say("error", event, {"exc_info": True, **fields})

    def alert(self, event: str, **fields: Any) -> None:
        """An error that somebody must look at: the alerting rules match `alert: true`."""
        self._say("error", event, {"alert": True, **fields})

    def _say(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if LEVELS[level] >= _threshold["level"]:
            self._proxy_to_logger(level, event, **fields)


class _Lines:
    """Writes to whatever standard error is at that moment."""

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    debug = info = warning = error = msg


def get_logger(name: str) -> Logger:
    """A logger for one module or service. Usable at import time; nothing is opened."""
    return Logger(_Lines(), _PROCESSORS, {"logger": name})


def configure(level: str = "info") -> None:
    """Sets the threshold, and leads the libraries' own log records (warnings and worse) through the same sieve."""
    _threshold["level"] = LEVELS[level]
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler, _Foreign)]
    root.addHandler(_Foreign(logging.WARNING))
    logging.getLogger("uvicorn.access").disabled = True  # its lines hold opt-out tokens and addresses of people's computers


class _Foreign(logging.Handler):
    """Records of libraries, which know nothing of our classes: their arguments are sieved one by one."""

    def emit(self, record: logging.LogRecord) -> None:
        phrase = str(record.msg)
        if record.args:
            args = record.args if isinstance(record.args, tuple) else (record.args,)
            with contextlib.suppress(TypeError, ValueError):  # a phrase that cannot take them is shown without
                phrase %= tuple(loggable(arg) for arg in args)
        if not record.name.startswith("postlaw"):
            # The first line only: asyncio's further lines hold the representation of whatever failed, values included.
            phrase = phrase.partition("\n")[0]
        failure = record.exc_info[1] if record.exc_info else None
        log = get_logger(record.name)
        (log.error if record.levelno >= logging.ERROR else log.warning)(phrase, exc_info=failure)


def _about_the_call(_logger: Any, level: str, fields: Fields) -> Fields:
    caller = maybe_current()
    if caller is not None:
        fields.setdefault("tenant_id", caller.tenant_id)
        fields.setdefault("actor", str(caller.actor))
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields["trace_id"], fields["span_id"] = f"{span.trace_id:032x}", f"{span.span_id:016x}"
    fields["level"] = level
    return fields


def _sieve_around_failure(_logger: Any, _level: str, fields: Fields) -> Fields:
    """The last step before the line is written: classified fields out, the failure rendered by rules of its own."""
    failure = fields.pop("exc_info", None)
    if failure is True:
        failure = sys.exc_info()[1]
    withheld = sorted(name for name in fields if name in withheld_names() and name not in _OUR_OWN)
    shown: Fields = {name: loggable(value) for name, value in fields.items() if name not in withheld}
    if withheld:
        shown["withheld"] = withheld
    if isinstance(failure, BaseException):
        shown["failure"] = rendered(failure)
    return shown


def _render(logger: Any, level: str, fields: Fields) -> str:
    if sys.stderr.isatty():
        return str(_pretty(logger, level, fields))
    return str(_json(logger, level, fields))


_json = structlog.processors.JSONRenderer(ensure_ascii=False)
_pretty = structlog.dev.ConsoleRenderer(colors=True)
_PROCESSORS: list[Any] = [
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    _about_the_call,
    _sieve_around_failure,
    _render,
]
