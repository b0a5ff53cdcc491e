# SPDX-License-Identifier: GPL-2.0-only
"""Reading a page allocation failure: the sum behind the report, zone by zone.

    for zone in why_it_failed(text):        # the lines of dmesg, time stamps and all
        print(zone)

The report of any kernel from 6.1 to 7.x has what is needed: the order and the mask, each zone's
free pages, marks and reserves, and its free blocks with the letters of their types.

Linux: warn_alloc(), mm/page_alloc.c, show_free_areas(), mm/show_mem.c
Simplified: how many of the free pages belong to the highatomic reserve is not in the report; for a
mask that may not use it they are taken from the letters, as few as they leave open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kmm_sim.mm.freelist import gfp_to_alloc_flags
from kmm_sim.mm.gfp import gfp_zone
from kmm_sim.mm.mmzone import MIGRATE_TYPES, ZONE_NAMES
from kmm_sim.observe.reckoning import Reckoning, Standing, reckon

__all__ = ["why_it_failed", "zones_of_report"]

LETTERS = "UMEHI"
REQUEST = re.compile(r"page allocation failure: order:(\d+), mode:(0x[0-9a-f]+)")
ZONE = re.compile(
    r"Node (\d+) (\w+) free:(\d+)kB boost:(\d+)kB min:(\d+)kB low:(\d+)kB high:(\d+)kB.*?"
    r"lowmem_reserve\[\]:((?: \d+)+)", re.DOTALL)
BLOCKS = re.compile(r"Node (\d+) (\w+):((?: \d+\*\d+kB(?: \([A-Z]+\))?)+)")
BLOCK = re.compile(r"(\d+)\*\d+kB(?: \(([A-Z]+)\))?")


def zones_of_report(text: str) -> list[Standing]:
    """Return how each zone stood, lowest first, from the lines of a report.  Raises ValueError if it has none."""
    blocks = {(node, name): BLOCK.findall(counts) for node, name, counts in BLOCKS.findall(text)}
    zones = [_standing(found, blocks.get((found[0], found[1]), [])) for found in ZONE.findall(text)]
    if not zones:
        raise ValueError("no line of a zone is in this text: it begins with Node 0, and has free:, min: and so on")
    return zones


def _standing(found: tuple[str, ...], counts: list[tuple[str, str]]) -> Standing:
    _, name, *numbers, reserve = found
    free, boost, *marks = (int(kib) // 4 for kib in numbers)
    types = {
        order: frozenset(LETTERS.index(letter) for letter in letters)
        for order, (count, letters) in enumerate(counts) if int(count)
    }
    kept = sum(int(count) << order for order, (count, letters) in enumerate(counts) if letters == "H")
    kept += sum(1 << order for order, (_, letters) in enumerate(counts) if "H" in letters and letters != "H")
    without_boost = tuple(mark - boost for mark in marks)
    return Standing(name, free, without_boost, boost, tuple(map(int, reserve.split()))[:MIGRATE_TYPES], kept, types)


def why_it_failed(text: str) -> Iterator[Reckoning]:
    """Yield the sum of the last attempt for each zone that the mask allows, highest first.

    Raises ValueError for a text that is no such report.
    """
    request = REQUEST.search(text)
    if request is None:
        raise ValueError("no line of this text says 'page allocation failure: order:..., mode:0x...'")
    order, gfp = int(request[1]), int(request[2], 16)
    for zone in reversed(zones_of_report(text)):
        if ZONE_NAMES.index(zone.zone) <= gfp_zone(gfp):
            yield reckon(zone, order, gfp_to_alloc_flags(gfp, order), gfp_zone(gfp))
