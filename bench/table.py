"""What was measured, as rows: beside a floor that was measured in the same rounds, and what to reach."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEAD = ("figure", "median", "min-max", "floor F", "ratio", "target", "reached")


@dataclass(frozen=True)
class Target:
    """All that is given must hold: the median is at most `times` floors, at most the floor and
    `plus`, at most `at_most`, at least `at_least`; in the row's unit."""

    times: float | None = None
    plus: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    def __str__(self) -> str:
        parts = {
            "<= {:g} F": self.times,
            "<= F + {:g}": self.plus,
            "<= {:g}": self.at_most,
            ">= {:g}": self.at_least,
        }
        return ", ".join(text.format(limit) for text, limit in parts.items() if limit is not None)

    def holds(self, median: float, floor: float) -> bool:
        return (
            (self.times is None or median <= self.times * floor)
            and (self.plus is None or median <= floor + self.plus)
            and (self.at_most is None or median <= self.at_most)
            and (self.at_least is None or median >= self.at_least)
        )


@dataclass(frozen=True)
class Row:
    """One figure. `values` and `floor` are in `unit`; `floor` is empty where there is none, and
    `target` is None for what stands there to be compared with."""

    figure: str
    values: Sequence[float]
    unit: str = "ms"
    floor: Sequence[float] = ()
    target: Target | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def floor_median(self) -> float:
        return statistics.median(self.floor) if self.floor else 0.0

    @property
    def reached(self) -> bool | None:
        return None if self.target is None else self.target.holds(self.median, self.floor_median)

    def cells(self) -> tuple[str, ...]:
        """As HEAD names them."""
        many = len(self.values) > 1
        return (
            self.figure,
            f"{number(self.median)} {self.unit}",
            f"{number(min(self.values))}-{number(max(self.values))}" if many else "",
            number(self.floor_median) if self.floor else "",
            f"{self.median / self.floor_median:.2f}" if self.floor else "",
            "" if self.target is None else str(self.target),
            {None: "", True: "yes", False: "NO"}[self.reached],
        )


def timed(
    figure: str, seconds: Sequence[float], floor: Sequence[float] = (), target: Target | None = None
) -> Row:
    """A row in milliseconds, from seconds."""
    return Row(figure, [s * 1000 for s in seconds], "ms", [s * 1000 for s in floor], target)


def number(value: float) -> str:
    """Three digits are enough, and all of those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def plain(rows: Iterable[Row]) -> str:
    """The table for a terminal: figures to the left, numbers to the right."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < column < 5 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(rows: Iterable[Row]) -> str:
    lines = [HEAD, ("---", "--:", "--:", "--:", "--:", "---", "---"), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
