# SPDX-License-Identifier: GPL-2.0-only
"""What came of a comparison: how many of how many, and the first that was not the same."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Result", "Tally"]


@dataclass
class Tally:
    """How many there were, and how many of them the simulator had the same."""

    total: int = 0
    same: int = 0

    @property
    def percent(self) -> float:
        """The share that was the same; of nothing, all is the same."""
        return 100.0 * self.same / self.total if self.total else 100.0


@dataclass
class Result:
    """What came of replaying one recording, or one section of it.

    ``tallies`` counts requests (the same pfn, or none in both), dumps, fallback events and
    whatever else the recording has; ``left_out`` names what was not compared.  Where
    interrupts were on, ``interrupts_on``, reclaim could run beside the recorded calls, and
    nobody can be exact.
    """

    name: str
    kind: str
    interrupts_on: bool = False
    tallies: dict[str, Tally] = field(default_factory=dict)
    first_difference: str | None = None
    left_out: list[str] = field(default_factory=list)

    def count(self, what: str, same: bool, difference: str) -> None:
        """Count one comparison, and remember the first that failed."""
        tally = self.tallies.setdefault(what, Tally())
        tally.total += 1
        tally.same += same
        if not same and self.first_difference is None:
            self.first_difference = difference

    @property
    def exact(self) -> bool:
        """Whether the simulator did in everything what the kernel did."""
        return self.first_difference is None

    def __str__(self) -> str:
        name = f"{self.name} (interrupts on)" if self.interrupts_on else self.name
        others = dict(self.tallies)
        requests = others.pop("requests", None)
        parts = [f"{tally.same} of {tally.total} {what}" for what, tally in others.items()]
        if requests is not None:
            first = f"{requests.total} requests, {requests.same} same pfn, {_percent(requests)}"
            parts.insert(0, first)
        else:
            total = Tally(sum(t.total for t in others.values()), sum(t.same for t in others.values()))
            parts.insert(0, f"{total.total} facts, {_percent(total)}")
        if self.left_out:
            names = dict.fromkeys(self.left_out)
            parts.append(f"{len(self.left_out)} not compared" + (f" ({', '.join(names)})" if len(names) < 4 else ""))
        return f"{name}: {'; '.join(parts)}; first difference: {self.first_difference or 'none'}"


def _percent(tally: Tally) -> str:
    """Round down: nothing but all of them is 100 %."""
    return f"{int(tally.percent * 100) / 100:.2f} %"
