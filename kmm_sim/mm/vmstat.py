# SPDX-License-Identifier: GPL-2.0-only
"""Counting free pages, nearly.

Each CPU collects its changes in a small difference and adds it to the zone's counter only
when it has grown beyond a threshold.  The watermark tests read the counter alone, so they see
a number that is a few pages old.  It decides who gets the last pages.

Linux: mm/vmstat.c
"""

from kmm_sim.mm.events import SetZoneFlag
from kmm_sim.mm.mmzone import MIGRATE_PCPTYPES, Migrate, Zone
from kmm_sim.mm.page import PAGE_SHIFT

__all__ = [
    "account_freepages",
    "calculate_normal_threshold",
    "clear_zone_flag",
    "mod_zone_page_state",
    "set_zone_flag",
]

HIGHATOMIC = int(Migrate.HIGHATOMIC)


def mod_zone_page_state(zone: Zone, delta: int) -> None:
    """Count ``delta`` free pages, in this CPU's difference or, when that is full, for all.

    Linux: __mod_zone_page_state(), mm/vmstat.c
    """
    cpu, threshold = zone.cpu, zone.stat_threshold
    diff = zone.vm_stat_diff[cpu] + delta
    if not -threshold <= diff <= threshold:
        zone.vm_stat_free += diff
        diff = 0
    zone.vm_stat_diff[cpu] = diff


def account_freepages(zone: Zone, nr_pages: int, migratetype: int) -> None:
    """Count ``nr_pages`` more free pages of a migratetype; isolated ones do not count.

    Linux: account_freepages(), mm/page_alloc.c
    """
    if migratetype < MIGRATE_PCPTYPES:
        mod_zone_page_state(zone, nr_pages)
    elif migratetype == HIGHATOMIC:
        mod_zone_page_state(zone, nr_pages)
        zone.nr_free_highatomic += nr_pages


def calculate_normal_threshold(managed_pages: int, cpus: int) -> int:
    """Return how many pages a CPU may hold back: more on larger zones and with more CPUs.

    Linux: calculate_normal_threshold(), mm/vmstat.c
    """
    mem = managed_pages >> (27 - PAGE_SHIFT)  # in units of 128 MiB
    return min(125, 2 * cpus.bit_length() * (1 + mem.bit_length()))


def set_zone_flag(zone: Zone, flag: int) -> None:
    """Note something about a zone, and tell it if it was not noted yet.

    Linux: set_bit(), include/asm-generic/bitops/instrumented-atomic.h
    """
    if not zone.flags & flag:
        zone.flags |= flag
        if zone.trace is not None:
            zone.trace.emit(SetZoneFlag(zone.index, flag, True))


def clear_zone_flag(zone: Zone, flag: int) -> None:
    """Strike a note about a zone out, and tell it if it stood there.

    Linux: clear_bit(), include/asm-generic/bitops/instrumented-atomic.h
    """
    if zone.flags & flag:
        zone.flags &= ~flag
        if zone.trace is not None:
            zone.trace.emit(SetZoneFlag(zone.index, flag, False))
