"""Gauges read when the exporter asks: whoever has something to show registers a reading, and takes it back when it ends.

Readings are called on the exporter's thread, every ten seconds: they only look at what the loop keeps, and copy what may change.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

Reading = Callable[[], float | None]


class Gauge:
    """One instrument over any number of readings; those with the same attributes are joined by `join` (sum, or max for ages and lags).
    None: nothing to show now. Attributes come from small fixed sets: no customer, no campaign, no person."""

    def __init__(self, name: str, unit: str, description: str, join: Callable[[Iterable[float]], float] = sum) -> None:
        self._readings: dict[int, tuple[Reading, Mapping[str, str]]] = {}
        self._next = 0
        self._join = join
        metrics.get_meter("postlaw").create_observable_gauge(name, callbacks=[self._observe], unit=unit, description=description)

    @contextmanager
    def shows(self, reading: Reading, **attributes: str) -> Generator[None]:
        """For as long as the block runs."""
        forget = self.add(reading, **attributes)
        try:
            yield
        finally:
            forget()

    def add(self, reading: Reading, **attributes: str) -> Callable[[], None]:
        """Until the returned function is called."""
        self._next += 1
        number = self._next
        self._readings[number] = (reading, attributes)
        return lambda: self._readings.pop(number, None) and None

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        found: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for reading, attributes in list(self._readings.values()):
            value = reading()
            if value is not None:
                found.setdefault(tuple(sorted(attributes.items())), []).append(value)
        return [Observation(self._join(values), dict(attributes)) for attributes, values in found.items()]
