# SPDX-License-Identifier: GPL-2.0-only
"""What people believe the buddy allocator does, as one small model with switches.

With the default switches it agrees with the simulator (a test holds it to that); with one
of them turned it makes a known mistake, and so tells which mistake a reader made.  The
right answers of exercises come from the simulator, never from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Belief", "Call", "FreeLists"]

FreeLists = dict[int, tuple[int, ...]]
"""Order to the first pfns of the free blocks, head first; no empty lists."""


@dataclass(frozen=True, slots=True)
class Call:
    """One line of a question: ``block = alloc_pages(order)``, or the block given back."""

    block: str
    order: int
    frees: bool = False

    def __str__(self) -> str:
        if self.frees:
            return f"machine.free_pages({self.block}, {self.order})"
        return f"{self.block} = machine.alloc_pages(GFP_KERNEL, {self.order})"


@dataclass(frozen=True, slots=True)
class Belief:
    """How somebody thinks that free blocks are split, merged and listed."""

    hands_out: Literal["lower half", "upper half"] = "lower half"
    merges: Literal["buddies", "neighbours", "nothing"] = "buddies"
    inserts_at: Literal["head", "head, or tail if it may merge soon"] = "head, or tail if it may merge soon"
    lists: Literal["head first", "by address"] = "head first"

    def after(self, calls: Iterable[Call], top: int) -> FreeLists:
        """Return the free lists of 2**top pages after the calls."""
        *_before, last = self.states(calls, top)
        return last

    def states(self, calls: Iterable[Call], top: int) -> Iterator[FreeLists]:
        """Yield the free lists before the first call and after each."""
        free: dict[int, list[int]] = {order: [] for order in range(top + 1)}
        free[top] = [0]
        held: dict[str, int] = {}
        yield self._written(free)
        for call in calls:
            if call.frees:
                self._give_back(free, held.pop(call.block), call.order, top)
            else:
                held[call.block] = self._take(free, call.order, top)
            yield self._written(free)

    def _written(self, free: dict[int, list[int]]) -> FreeLists:
        by_address = self.lists == "by address"
        return {order: tuple(sorted(pfns) if by_address else pfns) for order, pfns in free.items() if pfns}

    def _take(self, free: dict[int, list[int]], order: int, top: int) -> int:
        """Return the first pfn of a block; LookupError if this belief finds none."""
        high = next((each for each in range(order, top + 1) if free[each]), None)
        if high is None:
            raise LookupError(f"no free block of order {order}")
        pfn = free[high].pop(0)
        while high > order:
            high -= 1
            upper = pfn + (1 << high)
            kept, put_back = (pfn, upper) if self.hands_out == "lower half" else (upper, pfn)
            free[high].insert(0, put_back)
            pfn = kept
        return pfn

    def _give_back(self, free: dict[int, list[int]], pfn: int, order: int, top: int) -> None:
        while order < top and (partner := self._partner(free, pfn, order)) is not None:
            free[order].remove(partner)
            pfn = min(pfn, partner)
            order += 1
        at_tail = self.inserts_at != "head" and self._may_merge_soon(free, pfn, order, top)
        free[order].insert(len(free[order]) if at_tail else 0, pfn)

    def _partner(self, free: dict[int, list[int]], pfn: int, order: int) -> int | None:
        candidates = {
            "buddies": (pfn ^ (1 << order),),
            "neighbours": (pfn + (1 << order), pfn - (1 << order)),
            "nothing": (),
        }[self.merges]
        return next((each for each in candidates if each in free[order]), None)

    def _may_merge_soon(self, free: dict[int, list[int]], pfn: int, order: int, top: int) -> bool:
        parent = pfn & ~(1 << order)
        return order + 1 <= top and parent ^ (2 << order) in free[order + 1]
