"""What a merchant wants of prices, and how far they may move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from triad.errors import TriadError


@dataclass(frozen=True)
class Wish:
    """Bounds are shares of the present price; `cost` is the share of it that a unit costs."""

    lowest: float = 0.8
    highest: float = 1.2
    aim: Literal["revenue", "margin"] = "revenue"
    cost: float = 0.0
    level: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.lowest <= 1 <= self.highest < 100:
            mend = "give shares of the present price, as 0.8 and 1.2"
            raise TriadError(
                f"{self.lowest:g} to {self.highest:g} do not hold the present price", where="bounds", mend=mend
            )
        if not 0 <= self.cost < 1:
            raise TriadError(
                f"is {self.cost:g}", where="cost", mend="give the share of the price that a unit costs, as 0.6"
            )
        if not 0.5 <= self.level < 1:
            raise TriadError(f"is {self.level:g}", where="level", mend="give how often intervals hold, as 0.9")
        if (self.aim == "margin") != (self.cost > 0):
            mend = "name what a unit costs to look for the best margin; revenue needs no cost"
            raise TriadError(f"{self.aim} with a cost of {self.cost:g}", where="aim", mend=mend)
