"""The picture of a report: bars over what stands below them, as numbers for an inline SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, FOOT = 720, 200, 24  # units of the picture
MOST_BARS = 62  # two months of days; what is older comes together in the first
MOST_SERIES = 5  # the rarest come together
_COLOURS = ("#1a4fb4", "#a14f00", "#1c7a45", "#8a2c7d", "#5b5b66")
MOST_LABELS = 9
WIDEST = 90
OTHERS, EARLIER = "others", "earlier"


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    colour: str
    says: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`series`: (name, colour, sum). `below`: (x, what stands there), of each bar where they are few, else of the outer ones. `highest`:
    of all that stand on each other."""

    bars: Sequence[Bar]
    series: Sequence[tuple[str, str, int]]
    below: Sequence[tuple[float, str]]
    highest: int


def chart_of(cells: Mapping[tuple[str, str], int]) -> Chart | None:
    """`cells`: (what stands below, series) → how many. What stands below is in the order of its letters; what orders it and is not to be
    seen ends with a `|`. None where there is nothing to see."""
    if not cells:
        return None
    sums = Counter[str]()
    for (_, series), count in cells.items():
        sums[series] += count
    named = [name for name, _ in sums.most_common(MOST_SERIES if len(sums) <= MOST_SERIES else MOST_SERIES - 1)]
    below = sorted({place for place, _ in cells})
    shown = below if len(below) <= MOST_BARS else [EARLIER, *below[-MOST_BARS + 1 :]]
    stacked: dict[str, Counter[str]] = {place: Counter() for place in shown}
    for (place, series), count in cells.items():
        stacked[place if place in stacked else EARLIER][series if series in named else OTHERS] += count
    names = [*named, *([OTHERS] if len(sums) > len(named) else [])]
    colours = dict(zip(names, _COLOURS, strict=False))
    highest = max(sum(counts.values()) for counts in stacked.values())
    width = min(WIDEST, WIDTH / len(shown))
    bars: list[Bar] = []
    for number, (place, counts) in enumerate(stacked.items()):
        foot = float(HEIGHT)
        for name in names:
            if height := HEIGHT * counts[name] / highest:
                foot -= height
                place_and_size = (round(number * width, 2), round(foot, 2), round(width * 0.86, 2), round(height, 2))
                bars.append(Bar(*place_and_size, colours[name], f"{_seen(place)}: {counts[name]} {name}"))
    told = [(name, colours[name], sums[name] if name != OTHERS else sum(sums.values()) - sum(sums[one] for one in named)) for name in names]
    labelled = range(len(shown)) if len(shown) <= MOST_LABELS else (0, len(shown) - 1)
    return Chart(bars, told, [(round(number * width, 2), _seen(shown[number])) for number in labelled], highest)


def _seen(place: str) -> str:
    return place.rpartition("|")[2]
