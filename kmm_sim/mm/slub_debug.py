# SPDX-License-Identifier: GPL-2.0-only
"""slub_debug: the bytes around and in an object that tell who wrote where he should not.

Four letters, each a flag of the cache.  Z, red zones: bytes before and after the object are
0xcc while it is in use and 0xbb while it is free.  P, poison: a free object is full of 0x6b and
ends with 0xa5.  U, user tracking: who allocated it, who freed it.  F: the checks themselves, at
each allocation and each free.  What was overwritten is reported and put right again.

Linux: mm/slub.c
Simplified: a track names the Python function that made the call, without the stack below it;
free pointers are not checked, for nothing follows them here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from kmm_sim.errors import KernelBug
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SIZE, SIZEOF_STRUCT_PAGE, VMEMMAP_START
from kmm_sim.mm.page_flags import PageFlag, format_page_flags
from kmm_sim.mm.slab_common import WORD, KmemCache, SlabFlags
from kmm_sim.mm.slub_def import SIZEOF_TRACK, Slab, SlubCache

__all__ = [
    "Track",
    "alloc_debug_processing",
    "check_bytes_and_report",
    "check_object",
    "check_slab_on_free",
    "free_debug_processing",
    "freelist_ptr_encode",
    "get_freepointer",
    "get_info_end",
    "init_object",
    "link_objects",
    "list_slab_objects",
    "print_section",
    "print_slab_info",
    "print_tracking",
    "print_trailer",
    "report_bad_pointer",
    "report_double_free",
    "report_wrong_cache",
    "set_freepointer",
    "set_track",
    "setup_slab_debug",
    "skip_orig_size_check",
    "slab_bug",
    "slab_pad_check",
    "write_freepointer",
]

KERNEL = ("kmm_sim.mm.", "kmm_sim.calls.", "kmm_sim.machine")  # who calls these from outside is a caller

SLUB_RED_INACTIVE = 0xBB
SLUB_RED_ACTIVE = 0xCC
POISON_INUSE = 0x5A
POISON_FREE = 0x6B
POISON_END = 0xA5


@dataclass(frozen=True, slots=True)
class Track:
    """Who had to do with an object, and when: ``when`` counts the calls of debug caches.

    Linux: struct track, mm/slub.c
    """

    caller: str
    cpu: int
    when: int


# Bytes


def _fill(s: SlubCache, start: int, size: int, value: int) -> None:
    s.slabs.node.memory.write(start - PAGE_OFFSET, bytes((value,)) * size)


def _read(s: SlubCache, start: int, size: int) -> bytes:
    return s.slabs.node.memory.read(start - PAGE_OFFSET, size)


def get_info_end(s: SlubCache) -> int:
    """Return where in an object the notes about it end, but for the tracks.

    Linux: get_info_end(), mm/slub.c
    """
    return s.inuse + WORD if s.offset >= s.inuse else s.inuse


def _tracks_end(s: SlubCache) -> int:
    end = get_info_end(s)
    if s.flags & SlabFlags.STORE_USER:
        end += 2 * SIZEOF_TRACK
        if s.flags & SlabFlags.KMALLOC:
            end += WORD
    return end


def _orig_size(s: SlubCache, ptr: int) -> int:
    """Return what kmalloc() was asked for, where that is written down beside the object."""
    if s.flags & SlabFlags.STORE_USER and s.flags & SlabFlags.KMALLOC:
        return int.from_bytes(_read(s, ptr + _tracks_end(s) - WORD, WORD), "little")
    return s.object_size


def _set_orig_size(s: SlubCache, ptr: int, orig_size: int) -> None:
    """Write down what kmalloc() was asked for, where such is written down."""
    if s.flags & SlabFlags.STORE_USER and s.flags & SlabFlags.KMALLOC:
        place = ptr + _tracks_end(s) - WORD
        s.slabs.node.memory.write(place - PAGE_OFFSET, orig_size.to_bytes(WORD, "little"))


def skip_orig_size_check(s: SlubCache, ptr: int) -> None:
    """Let the caller use the whole object: he has asked how large it is.

    Linux: skip_orig_size_check(), mm/slub.c
    """
    _set_orig_size(s, ptr, s.object_size)


def freelist_ptr_encode(s: SlubCache, ptr: int, ptr_addr: int) -> int:
    """Return a free pointer as it is written at ``ptr_addr``: plain, or scrambled in a hardened cache.

    Whoever overwrites it without the secret sends the kernel to an address that is none.  The same
    operation decodes it.

    Linux: freelist_ptr_encode(), mm/slub.c
    """
    if s.random is None:
        return ptr
    return ptr ^ s.random ^ int.from_bytes(ptr_addr.to_bytes(WORD, "little"), "big")


def set_freepointer(s: SlubCache, slab: Slab, index: int, after: int | None) -> None:
    """Write into a free object where the next one is.  Linux: set_freepointer(), mm/slub.c"""
    target = 0 if after is None else slab.base + after * s.size
    write_freepointer(s, slab.base + index * s.size, target)


def write_freepointer(s: SlubCache, ptr: int, target: int) -> None:
    """Write into what lies at an address where the next one is, 0 for none.

    Linux: set_freepointer(), mm/slub.c
    """
    place = ptr + s.offset
    s.slabs.node.memory.write(place - PAGE_OFFSET, freelist_ptr_encode(s, target, place).to_bytes(WORD, "little"))


def get_freepointer(s: SlubCache, ptr: int) -> int:
    """Return the address that the free object at ``ptr`` points to; 0 ends the list.

    Linux: get_freepointer(), mm/slub.c
    """
    place = ptr + s.offset
    return freelist_ptr_encode(s, int.from_bytes(_read(s, place, WORD), "little"), place)


def init_object(s: SlubCache, ptr: int, value: int) -> None:
    """Fill an object with poison and its red zones with ``value``.  Linux: init_object(), mm/slub.c"""
    poison_size = s.object_size
    if s.flags & SlabFlags.RED_ZONE:
        _fill(s, ptr - s.red_left_pad, s.red_left_pad, value)
        if value == SLUB_RED_ACTIVE:
            poison_size = _orig_size(s, ptr)
    if s.flags & SlabFlags.OBJECT_POISON:
        _fill(s, ptr, poison_size - 1, POISON_FREE)
        _fill(s, ptr + poison_size - 1, 1, POISON_END)
    if s.flags & SlabFlags.RED_ZONE:
        _fill(s, ptr + poison_size, s.inuse - poison_size, value)


def setup_slab_debug(s: SlubCache, slab: Slab) -> None:
    """Prepare the bytes of a new slab and of each object in it.

    Linux: setup_slab_debug(), setup_object_debug(), mm/slub.c
    """
    if s.flags & SlabFlags.POISON:
        _fill(s, slab.base - s.red_left_pad, PAGE_SIZE << slab.order, POISON_INUSE)
    for index in range(slab.objects):
        ptr = slab.base + index * s.size
        if s.flags & (SlabFlags.STORE_USER | SlabFlags.RED_ZONE | SlabFlags.OBJECT_POISON):
            init_object(s, ptr, SLUB_RED_INACTIVE)
            if s.flags & SlabFlags.STORE_USER:
                _fill(s, ptr + get_info_end(s), 2 * SIZEOF_TRACK, 0)
    link_objects(s, slab)


def link_objects(s: SlubCache, slab: Slab) -> None:
    """Write the free pointers of a new slab, from each object to the next.

    Linux: allocate_slab(), mm/slub.c
    """
    chain = slab.freelist[::-1]
    for index, after in zip(chain, [*chain[1:], None], strict=True):
        set_freepointer(s, slab, index, after)


def set_track(s: SlubCache, ptr: int, which: int) -> None:
    """Note who allocates (0) or frees (1) an object.  Linux: set_track(), mm/slub.c"""
    if not s.flags & SlabFlags.STORE_USER:
        return
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(KERNEL):
        frame = frame.f_back
    cpu = s.zone.cpu
    s.slabs.ticks += 1
    s.tracks.setdefault(ptr, [None, None])[which] = Track(frame.f_code.co_name, cpu, s.slabs.ticks)
    note = bytes(12) + cpu.to_bytes(4, "little") + bytes(8) + s.slabs.ticks.to_bytes(8, "little")
    s.slabs.node.memory.write(ptr + get_info_end(s) + which * SIZEOF_TRACK - PAGE_OFFSET, note)


# Reports


def slab_bug(s: SlubCache, what: str) -> None:
    """Begin a report.  Linux: slab_bug(), mm/slub.c"""
    s.slabs.node.dmesg += ["=" * 77, f"BUG {s.name} (Not tainted): {what}", "-" * 77, ""]


def print_section(s: SlubCache, label: str, start: int, size: int) -> None:
    """Write bytes to the log, 16 a line, as hexadecimal and as text.

    Linux: print_section(), mm/slub.c
    """
    data = _read(s, start, size)
    for at in range(0, size, 16):
        line = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        s.slabs.node.dmesg.append(f"{label}{start + at:016x}: {line.hex(' '):<47}  {text}")


def print_tracking(s: SlubCache, ptr: int) -> None:
    """Write to the log who allocated and freed an object.  Linux: print_tracking(), mm/slub.c"""
    for what, track in zip(("Allocated", "Freed"), s.tracks.get(ptr, ()), strict=False):
        if track is not None:
            age = s.slabs.ticks - track.when
            s.slabs.node.dmesg.append(f"{what} in {track.caller} age={age} cpu={track.cpu} pid=1")


def print_slab_info(s: SlubCache, slab: Slab) -> None:
    """Write a line about a slab to the log.  Linux: print_slab_info(), mm/slub.c"""
    page = s.slabs.node.page(slab.pfn)
    flags = page.flags & ~int(PageFlag.HEAD) | (int(PageFlag.WORKINGSET) if slab.pfn in s.node.partial else 0)
    if slab.order:
        flags |= int(PageFlag.HEAD)
    first = slab.base + slab.freelist[-1] * s.size if slab.freelist else 0
    s.slabs.node.dmesg.append(
        f"Slab 0x{VMEMMAP_START + slab.pfn * SIZEOF_STRUCT_PAGE:016x} objects={slab.objects} "
        f"used={slab.inuse} fp=0x{first:016x} flags={format_page_flags(flags)}"
    )


def print_trailer(s: SlubCache, slab: Slab, ptr: int) -> None:
    """Write all about an object and the bytes around it to the log.  Linux: print_trailer(), mm/slub.c"""
    start = slab.base - s.red_left_pad
    print_tracking(s, ptr)
    print_slab_info(s, slab)
    after = get_freepointer(s, ptr)
    s.slabs.node.dmesg += [f"Object 0x{ptr:016x} @offset={ptr - start} fp=0x{after:016x}", ""]
    if s.flags & SlabFlags.RED_ZONE:
        print_section(s, "Redzone  ", ptr - s.red_left_pad, s.red_left_pad)
    elif ptr > start + 16:
        print_section(s, "Bytes b4 ", ptr - 16, 16)
    print_section(s, "Object   ", ptr, min(s.object_size, PAGE_SIZE))
    if s.flags & SlabFlags.RED_ZONE:
        print_section(s, "Redzone  ", ptr + s.object_size, s.inuse - s.object_size)
    end = _tracks_end(s)
    if end != s.size - s.red_left_pad:
        print_section(s, "Padding  ", ptr + end, s.size - s.red_left_pad - end)


def _fix(s: SlubCache, what: str) -> None:
    s.slabs.node.dmesg.append(f"FIX {s.name}: {what}")


def check_bytes_and_report(
    s: SlubCache, slab: Slab, ptr: int, what: str, start: int, value: int, size: int, first: bool
) -> str | None:
    """Look for a byte that is not ``value``; report it, put it right, and return a sentence.

    Only for the first fault of an object is the object printed.

    Linux: check_bytes_and_report(), mm/slub.c
    """
    wrong = [at for at, byte in enumerate(_read(s, start, size)) if byte != value]
    if not wrong:
        return None
    fault, last = start + wrong[0], start + wrong[-1]
    found = _read(s, fault, 1)[0]
    offset = fault - (slab.base - s.red_left_pad)
    s.slabs.node.dmesg.append(
        f"[{what} overwritten] 0x{fault:016x}-0x{last:016x} @offset={offset}. "
        f"First byte 0x{found:x} instead of 0x{value:x}"
    )
    if first:
        slab_bug(s, "Object corrupt")
        print_trailer(s, slab, ptr)
    _fix(s, f"Restoring {what} 0x{fault:016x}-0x{last:016x}=0x{value:x}")
    _fill(s, fault, last - fault + 1, value)
    return (
        f"{what} overwritten: byte {fault - ptr} of the object at {ptr:#x} in {s.name} is {found:#04x} "
        f"instead of {value:#04x}"
    )


def slab_pad_check(s: SlubCache, slab: Slab) -> str | None:
    """Look at the bytes behind the last object, which belong to nobody; report, put right, return a sentence.

    Linux: slab_pad_check(), mm/slub.c
    """
    length = PAGE_SIZE << slab.order
    remainder = length % s.size
    if not s.flags & SlabFlags.POISON or not remainder:
        return None
    start = slab.base - s.red_left_pad
    pad = start + length - remainder
    wrong = [at for at, byte in enumerate(_read(s, pad, remainder)) if byte != POISON_INUSE]
    if not wrong:
        return None
    fault, last = pad + wrong[0], pad + wrong[-1]
    slab_bug(s, f"Padding overwritten. 0x{fault:016x}-0x{last:016x} @offset={fault - start}")
    print_section(s, "Padding  ", pad, remainder)
    print_slab_info(s, slab)
    _fix(s, f"Restoring slab padding 0x{fault:016x}-0x{last:016x}=0x{POISON_INUSE:x}")
    _fill(s, fault, last - fault + 1, POISON_INUSE)
    return f"Padding overwritten: byte {fault - start} of a slab of {s.name}, behind its last object"


def check_object(s: SlubCache, slab: Slab, ptr: int, value: int) -> str | None:
    """Look at every byte that nobody may write; return what was wrong first, or None.

    ``value`` says what the red zones are to be: SLUB_RED_ACTIVE for an object in use.

    Linux: check_object(), mm/slub.c
    """
    active = value == SLUB_RED_ACTIVE
    zones: list[tuple[str, int, int, int]] = []
    if s.flags & SlabFlags.RED_ZONE:
        zones.append(("Left Redzone", ptr - s.red_left_pad, value, s.red_left_pad))
        zones.append(("Right Redzone", ptr + s.object_size, value, s.inuse - s.object_size))
        orig_size = _orig_size(s, ptr) if active else s.object_size
        if orig_size < s.object_size:
            zones.append(("kmalloc Redzone", ptr + orig_size, value, s.object_size - orig_size))
    elif s.flags & SlabFlags.POISON and s.object_size < s.inuse:
        zones.append(("Alignment padding", ptr + s.object_size, POISON_INUSE, s.inuse - s.object_size))
    if s.flags & SlabFlags.OBJECT_POISON and not active:
        zones.append(("Poison", ptr, POISON_FREE, s.object_size - 1))
        zones.append(("End Poison", ptr + s.object_size - 1, POISON_END, 1))
    if s.flags & SlabFlags.POISON:
        end = _tracks_end(s)
        zones.append(("Object padding", ptr + end, POISON_INUSE, s.size - s.red_left_pad - end))
    fault = None
    for what, start, wanted, size in zones:
        found = check_bytes_and_report(s, slab, ptr, what, start, wanted, size, fault is None)
        fault = fault or found
    return fault


# Allocating and freeing


def alloc_debug_processing(s: SlubCache, slab: Slab, index: int, orig_size: int) -> bool:
    """Check a free object that is about to be handed out, and make it look used.

    Raises KernelBug, having put the bytes right, if somebody wrote to it while it was free.
    Without teaching it returns False: Linux goes on with another slab, and never uses this one
    again.

    Linux: alloc_debug_processing(), mm/slub.c
    """
    ptr = slab.base + index * s.size
    if s.flags & SlabFlags.CONSISTENCY_CHECKS:
        padding = slab_pad_check(s, slab)
        if padding and s.slabs.node.teaching:
            raise KernelBug(f"out of bounds write, found now that an object of the slab is handed out: {padding}")
        fault = check_object(s, slab, ptr, SLUB_RED_INACTIVE)
        if fault and s.slabs.node.teaching:
            raise KernelBug(f"use after free, found now that the object is handed out again: {fault}")
        if fault:
            _fix(s, "Marking all objects used")
            return False
    _set_orig_size(s, ptr, orig_size)
    init_object(s, ptr, SLUB_RED_ACTIVE)
    set_track(s, ptr, 0)
    return True


def free_debug_processing(s: SlubCache, slab: Slab, index: int) -> bool:
    """Check an object that comes back, and make it look free.

    Raises KernelBug, having put the bytes right, if somebody wrote beside it; it is not freed.
    Without teaching it returns False, and the object is not freed either.

    Linux: free_debug_processing(), free_consistency_checks(), mm/slub.c
    """
    ptr = slab.base + index * s.size
    if s.flags & SlabFlags.CONSISTENCY_CHECKS:
        padding = slab_pad_check(s, slab)
        if padding and s.slabs.node.teaching:
            raise KernelBug(f"out of bounds write, found now that an object of the slab is freed: {padding}")
        fault = check_object(s, slab, ptr, SLUB_RED_ACTIVE)
        if fault:
            _fix(s, f"Object at 0x{ptr:016x} not freed")
            if s.slabs.node.teaching:
                raise KernelBug(f"out of bounds write, found now that the object is freed: {fault}")
            return False
    set_track(s, ptr, 1)
    init_object(s, ptr, SLUB_RED_INACTIVE)
    set_freepointer(s, slab, index, slab.freelist[-1] if slab.freelist else None)
    return True


def check_slab_on_free(s: SlubCache, slab: Slab) -> None:
    """Check every object of a slab whose pages go back.  Linux: free_slab(), mm/slub.c"""
    if s.flags & SlabFlags.CONSISTENCY_CHECKS:
        slab_pad_check(s, slab)
    for index in range(slab.objects):
        ptr = slab.base + index * s.size
        if s.flags & SlabFlags.CONSISTENCY_CHECKS:
            check_object(s, slab, ptr, SLUB_RED_INACTIVE)
        s.tracks.pop(ptr, None)


# What the allocator itself reports


def report_double_free(s: SlubCache, slab: Slab, index: int) -> None:
    """Report that an object is free already, if the cache checks that.

    Linux: free_consistency_checks(), mm/slub.c
    """
    if s.flags & SlabFlags.CONSISTENCY_CHECKS:
        ptr = slab.base + index * s.size
        slab_bug(s, "Object already free")
        print_trailer(s, slab, ptr)
        _fix(s, f"Object at 0x{ptr:016x} not freed")


def report_bad_pointer(s: SlubCache, slab: Slab, ptr: int) -> None:
    """Report that no object begins at an address, if the cache checks that.

    Linux: free_consistency_checks(), mm/slub.c
    """
    if s.flags & SlabFlags.CONSISTENCY_CHECKS:
        slab_bug(s, f"Invalid object pointer 0x{ptr:016x}")
        print_slab_info(s, slab)
        _fix(s, f"Object at 0x{ptr:016x} not freed")


def report_wrong_cache(s: SlubCache, cache: KmemCache, ptr: int) -> str:
    """Report that an object belongs to another cache, if the kernel looks: hardened, or checked; return the line.

    Linux: cache_from_obj(), mm/slub.c
    """
    line = f"cache_from_obj: Wrong slab cache. {cache.name} but object is from {s.name}"
    looks = s.random is not None or cache.flags & SlabFlags.CONSISTENCY_CHECKS
    if looks or s.slabs.node.teaching:
        s.slabs.node.dmesg.append(line)
        print_tracking(s, ptr)
    return line


def list_slab_objects(s: SlubCache, slab: Slab, in_use: list[int]) -> None:
    """Report the objects that are still in use when a cache goes.

    Linux: list_slab_objects(), mm/slub.c
    """
    slab_bug(s, "Objects remaining on __kmem_cache_shutdown()")
    for ptr in in_use:
        s.slabs.node.dmesg.append(f"Object 0x{ptr:016x} @offset={ptr - (slab.base - s.red_left_pad)}")
        print_tracking(s, ptr)
    print_slab_info(s, slab)
