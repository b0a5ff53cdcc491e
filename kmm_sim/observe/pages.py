# SPDX-License-Identifier: GPL-2.0-only
"""A page looked at closely, all pages looked at from afar, and the zones as one request sees them."""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.machine import Machine
from kmm_sim.mm.bad_page import block_around, compound_head
from kmm_sim.mm.freelist import alloc_flags_nofragment
from kmm_sim.mm.gfp import gfp_migratetype, gfp_zone
from kmm_sim.mm.highmem import page_address
from kmm_sim.mm.internal import ALLOC_NOFRAGMENT
from kmm_sim.mm.mmzone import MIGRATE_PCPTYPES, PAGEBLOCK_ORDER, Migrate, Wmark, Zone
from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE, SIZEOF_STRUCT_PAGE, VMEMMAP_START
from kmm_sim.mm.page_flags import PG_HEAD, format_page_flags
from kmm_sim.mm.pcp import order_to_pindex, pcp_allowed_order
from kmm_sim.mm.watermark import wmark_pages, zone_watermark_ok
from kmm_sim.observe.snapshot import snapshot

__all__ = ["PageView", "ZoneCheck", "page_runs", "page_view", "zone_checks"]


@dataclass(frozen=True, slots=True)
class PageView:
    """One page: what its struct page holds, and what that means.

    ``state`` is ``free`` (``order`` is that of the free block it is part of), ``cpu`` (free, on a CPU's
    list), ``held`` or ``other`` (in use since before the machine was recorded).  ``head`` is the first
    page of the block.  ``address`` is 0 if the kernel has none for it; ``data`` are its bytes, up to the
    last that is not 0; ``pointers`` is how many bytes this machine's pointers have.
    """

    pfn: int
    zone: str
    state: str
    order: int
    head: int
    compound: bool
    flags: int
    flag_names: str
    refcount: int
    mapcount: int
    mapping: int
    index: int
    private: int
    struct_page: int
    address: int
    highmem: bool
    data: bytes
    pointers: int = 8


def page_view(machine: Machine, pfn: int) -> PageView:
    """Return page ``pfn`` as it is now; ValueError if the machine has no such page."""
    node = machine.node
    page = node.pfn_to_page(pfn)
    if page is None:
        raise ValueError(f"there is no page {pfn}: {machine!r}")
    owner = block_around(node, pfn)
    state, order, start = ("held", owner.order, owner.pfn) if owner is not None else _free_block(machine, pfn)
    compound = compound_head(node, page)
    return PageView(
        pfn=pfn,
        zone=page.zone.name,
        state=state,
        order=order,
        head=start,
        compound=bool(compound.flags & PG_HEAD),
        flags=page.flags,
        flag_names=format_page_flags(page.flags),
        refcount=page.refcount,
        mapcount=page.mapcount,
        mapping=page.mapping,
        index=page.index,
        private=order if state == "free" and start == pfn else page.private,
        struct_page=VMEMMAP_START + pfn * SIZEOF_STRUCT_PAGE,
        address=page_address(node, page),
        highmem=page.zone.highmem,
        data=node.memory.read(pfn << PAGE_SHIFT, PAGE_SIZE).rstrip(b"\0"),
        pointers=8 if node.highmem is None else 4,
    )


def _free_block(machine: Machine, pfn: int) -> tuple[str, int, int]:
    """Return the state, the order and the start of the block that a page nobody holds is part of."""
    for zone in snapshot(machine).zones:
        for blocks in zone.free:
            start = pfn >> blocks.order << blocks.order
            if start in blocks.pfns:
                return "free", blocks.order, start
        for listed in zone.pcp:
            start = pfn >> listed.order << listed.order
            if start in listed.pfns:
                return "cpu", listed.order, start
    return "other", 0, pfn


def page_runs(machine: Machine) -> list[tuple[str, int]]:
    """Return all pages, from the first zone's start on, as runs of one kind: a letter and a number of pages.

    ``f`` is free, ``c`` on a CPU's list, ``U``, ``M`` and ``E`` held (unmovable, movable, reclaimable),
    ``x`` anything else: in use since before the recording, or no memory at all.
    """
    state = snapshot(machine)
    blocks = [(pfn, 1 << free.order, "f") for zone in state.zones for free in zone.free for pfn in free.pfns]
    blocks += [(pfn, 1 << pcp.order, "c") for zone in state.zones for pcp in zone.pcp for pfn in pcp.pfns]
    blocks += [(pfn, 1 << held.order, "UMEU"[gfp_migratetype(held.gfp)]) for pfn, held in state.allocated.items()]
    runs: list[tuple[str, int]] = []
    at = state.zones[0].start_pfn
    end = max(zone.start_pfn + zone.spanned_pages for zone in state.zones)
    for pfn, count, letter in [*sorted(blocks), (end, 0, "x")]:
        for kind, number in (("x", pfn - at), (letter, count)):
            if number and runs and runs[-1][0] == kind:
                runs[-1] = kind, runs[-1][1] + number
            elif number:
                runs.append((kind, number))
        at = pfn + count
    return runs


@dataclass(frozen=True, slots=True)
class ZoneCheck:
    """The watermark check of one zone for one request, in pages.

    The request may have a block of it if ``free - (2**order - 1)`` is above ``mark + reserve``; ``ok`` is
    the kernel's answer, which for larger blocks asks besides whether there is one.  ``kind`` is whether
    a zone that is ``ok`` can serve it without mixing migratetypes, as the first attempt must.
    """

    zone: str
    free: int
    mark: int
    reserve: int
    counted: int
    ok: bool
    kind: bool

    def __str__(self) -> str:
        sign = ">" if self.counted > self.mark + self.reserve else "<="
        return f"{self.zone}: {self.free} free; {self.counted} {sign} {self.mark} + {self.reserve}"


def zone_checks(machine: Machine, gfp: int, order: int, wmark: int = Wmark.LOW) -> tuple[ZoneCheck, ...]:
    """Return the zones that a request may use, in the order in which they are tried, each with its check.

    Linux: get_page_from_freelist(), mm/page_alloc.c
    """
    node = machine.node
    highest = gfp_zone(gfp, node.zone_table)
    migratetype = gfp_migratetype(gfp) if node.group_by_mobility else Migrate.UNMOVABLE
    alloc_flags = alloc_flags_nofragment(node, gfp, highest)
    return tuple(
        ZoneCheck(
            zone=zone.name,
            free=zone.vm_stat_free,
            mark=wmark_pages(zone, wmark),
            reserve=zone.lowmem_reserve[highest],
            counted=zone.vm_stat_free - zone.nr_free_highatomic - (1 << order) + 1,
            ok=zone_watermark_ok(zone, order, wmark_pages(zone, wmark), highest, 0),
            kind=_has_kind(zone, order, migratetype, alloc_flags),
        )
        for zone in node.zonelists[highest]
    )


def _has_kind(zone: Zone, order: int, migratetype: int, alloc_flags: int) -> bool:
    """Return whether a zone has a block for a request without breaking up another type's pageblock.

    Linux: __rmqueue(), __rmqueue_claim(), mm/page_alloc.c
    """
    if zone.pcp is not None and pcp_allowed_order(order) and zone.pcp.lists[order_to_pindex(migratetype, order)]:
        return True
    if any(area.free_list[migratetype].front for area in zone.free_area[order:]):
        return True
    least = max(order, PAGEBLOCK_ORDER) if alloc_flags & ALLOC_NOFRAGMENT else order
    return any(area.free_list[kind].front for area in zone.free_area[least:] for kind in range(MIGRATE_PCPTYPES))
