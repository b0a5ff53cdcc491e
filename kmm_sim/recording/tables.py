# SPDX-License-Identifier: GPL-2.0-only
"""Comparing tables of a kernel with ours: what each gfp mask means, what each constant is."""

from __future__ import annotations

from typing import Any

from kmm_sim.mm import gfp, mmzone, page, page_flags, pcp
from kmm_sim.recording.files import Recording, kind_of
from kmm_sim.recording.result import Result

__all__ = ["check_consts", "check_gfp"]


def check_gfp(recording: Recording) -> list[Result]:
    """Return one result: the value, zone, migratetype and printed form of every mask."""
    result = Result(recording.name, recording.kind)
    for record in recording.records:
        match record:
            case [mask, text, zone, bad, migratetype]:
                _compare_mask(result, mask, text, zone, bool(bad), migratetype)
            case {"k": "str", "gfp": mask, "text": text, "zone": zone, "mt": migratetype}:
                bad = gfp.GFP_ZONE_BAD >> (mask & 15) & 1
                _compare_mask(result, mask, text, zone, bool(bad), migratetype)
                if "blocking" in record:
                    _same(result, "blocking", mask, bool(mask & gfp.DIRECT_RECLAIM), bool(record["blocking"]))
            case {"k": "zone", "bits": bits, "zone": zone, "bad": bad}:
                _same(result, "zone bits", bits, gfp.gfp_zone(bits), zone)
                _same(result, "zone bits", bits, gfp.GFP_ZONE_BAD >> bits & 1, bad)
            case {"k": "mt", "gfp": mask, "mt": migratetype}:
                _same(result, "migratetypes", mask, gfp.gfp_migratetype(mask), migratetype)
            case {"k": "gfp", "values": values}:
                _compare_values(result, values)
                if "GFP_ZONE_BAD" in record:
                    _same(result, "values", "GFP_ZONE_BAD", gfp.GFP_ZONE_BAD, record["GFP_ZONE_BAD"])
            case _:
                result.left_out.append(kind_of(record))
    return [result]


def _compare_values(result: Result, values: dict[str, int]) -> None:
    """Compare the value of every name that we have; those of value 0 are configured away."""
    ours = {f"__GFP_{flag.name}": int(flag) for flag in gfp.Gfp}
    ours["__GFP_RECLAIM"] = int(gfp.Gfp.RECLAIM)
    ours |= {name: int(getattr(gfp, name)) for name in gfp.__all__ if name.startswith("GFP_")}
    ours["__GFP_BITS_MASK"] = gfp.GFP_BITS_MASK
    ours["GFP_ZONEMASK"] = gfp.GFP_ZONEMASK
    for name, value in values.items():
        if value:
            _same(result, "values", name, ours.get(name), value)


def _compare_mask(
    result: Result, mask: int, text: str, zone: int, bad: bool, migratetype: int
) -> None:
    """Compare one mask; where its zone bits contradict each other it has no zone."""
    _same(result, "printed forms", mask, gfp.gfp_names(mask), text)
    if not bad:
        _same(result, "zones", mask, gfp.gfp_zone(mask), zone)
    if mask & gfp.Gfp.MOVABLE and migratetype == 1:
        mask &= ~gfp.Gfp.RECLAIMABLE  # both together are a mistake; the recorder asked without
    _same(result, "migratetypes", mask, gfp.gfp_migratetype(mask), migratetype)


def _same(result: Result, what: str, key: Any, ours: Any, theirs: Any) -> None:
    shown = f"{key:#x}" if isinstance(key, int) else key
    result.count(what, ours == theirs, f"{what} of {shown}: {theirs} in the kernel, {ours} here")


def check_consts(recording: Recording) -> list[Result]:
    """Return one result: every constant of the page allocator, and how each page flag prints.

    Constants of parts that have tables of their own (slabs, vmalloc, stacks) are named in the
    result as left out, and so is what a kernel computes while it boots.
    """
    result = Result(recording.name, recording.kind)
    ours = _constants()
    for record in recording.records:
        match record:
            case {"k": "c", "n": name, "v": value} if name in ours:
                _same(result, "constants", name, ours[name], value)
            case {"k": "c", "n": name}:
                result.left_out.append(name)
            case {"k": "pgflag", "bit": bit, "text": text}:
                _same(result, "page flags", bit, page_flags.format_page_flags(1 << bit), text)
            case {"k": "hex", "PAGE_OFFSET": offset, "VMEMMAP_START": vmemmap}:
                _same(result, "addresses", "PAGE_OFFSET", page.PAGE_OFFSET, int(offset, 16))
                _same(result, "addresses", "VMEMMAP_START", page.VMEMMAP_START, int(vmemmap, 16))
            case {"k": "z", "i": number, "name": name}:
                _same(result, "zone names", number, dict(enumerate(mmzone.ZONE_NAMES)).get(number), name)
            case {"k": "zonelist", "node": nid, "order": order}:
                _same(result, "zonelists", nid, _zonelist(recording, nid), order)
            case {"k": "sysctl"}:
                pass  # of one machine; the recordings of zones have them too
            case _:
                result.left_out.append(kind_of(record))
    return [result]


def _zonelist(recording: Recording, nid: int) -> list[list[Any]]:
    """Return the zones that a CPU next to bank ``nid`` tries, of the machine that was recorded."""
    told = [one for one in recording.records if isinstance(one, dict) and one.get("k") == "z" and one["managed"]]
    zones = [
        mmzone.Zone(at, mmzone.ZoneType(z["i"]), z["start"], z["spanned"], z["managed"], nid=z["node"])
        for at, z in enumerate(told)
    ]
    return [[zone.nid, zone.name] for zone in mmzone.build_all_zonelists(zones).get(nid, ((),))[-1]]


def _constants() -> dict[str, int]:
    """Return what we call differently, or keep as members of an enumeration."""
    ours: dict[str, int] = {}
    for module in (mmzone, page, page_flags, pcp):
        ours |= {name: value for name, value in vars(module).items() if isinstance(value, int)}
    ours |= {f"MIGRATE_{kind.name}": int(kind) for kind in mmzone.Migrate}
    ours |= {f"ZONE_{kind.name}": int(kind) for kind in mmzone.ZoneType}
    ours |= {f"WMARK_{mark.name}": int(mark) for mark in mmzone.Wmark}
    ours |= {f"PG_{flag.name.lower()}": flag.bit_length() - 1 for flag in page_flags.PageFlag if flag.name}
    ours |= {f"PGTY_{kind.name.lower()}": int(kind) for kind in page_flags.PageType}
    ours |= {f"offsetof(struct page, {name})": at for name, at in page.STRUCT_PAGE_OFFSETS.items()}
    ours |= {
        "pageblock_order": mmzone.PAGEBLOCK_ORDER,
        "pageblock_nr_pages": mmzone.PAGEBLOCK_NR_PAGES,
        "sizeof(struct page)": page.SIZEOF_STRUCT_PAGE,
        "__NR_PAGEFLAGS": page_flags.NR_PAGEFLAGS,
        "PMD_SIZE": page.PAGE_SIZE << mmzone.HPAGE_PMD_ORDER,
    }
    return ours
