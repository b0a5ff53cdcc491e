# SPDX-License-Identifier: GPL-2.0-only
"""Per-CPU memory: the same variable once for each CPU.

A counter that all CPUs add to is a cache line that travels between them.  With one for each CPU
nobody waits and nobody locks; who wants the sum adds them up.

A chunk is a range of addresses with a unit for each CPU, all alike.  What is given out is an
offset, the same in every unit, and the address for CPU n is n units further.  Pages are put
under an offset, one for each CPU, when somebody uses it first.

Linux: mm/percpu.c
Simplified: first fit over a list of what is in use instead of bitmaps with hints; units of 32
KiB; chunks at the lowest addresses, not the highest; pages stay until their chunk goes.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

from kmm_sim.errors import KernelBug
from kmm_sim.mm.fault import vread, vwrite
from kmm_sim.mm.gfp import GFP_KERNEL
from kmm_sim.mm.page import PAGE_SHIFT, PAGE_SIZE, Page
from kmm_sim.mm.page_alloc import alloc_pages, free_pages
from kmm_sim.mm.percpu_events import PercpuAllocPercpu, PercpuCreateChunk, PercpuDestroyChunk, PercpuFreePercpu
from kmm_sim.mm.pgtable import vmap_pages_range
from kmm_sim.mm.vmalloc import VmFlag, VmStruct, find_vm_area, free_vm_area, get_vm_area
from kmm_sim.mm.vmap_node import VmapSpace

__all__ = [
    "PCPU_MIN_ALLOC_SIZE", "PCPU_UNIT_SIZE", "PcpuChunk", "Percpu", "alloc_percpu", "free_percpu",
    "pcpu_alloc_area", "pcpu_create_chunk", "pcpu_nr_pages", "pcpu_populate_chunk", "per_cpu_ptr", "this_cpu_add",
    "this_cpu_read",
]

PCPU_MIN_ALLOC_SIZE = 4
PCPU_UNIT_SIZE = 32 << 10
"""The bytes of one CPU in a chunk; the largest that can be asked for."""


@dataclass(slots=True, eq=False)
class PcpuChunk:
    """A unit for each CPU: ``used`` are pairs of offset and size, ``pages`` those put under it.

    Linux: struct pcpu_chunk, mm/percpu-internal.h
    """

    vm: VmStruct
    used: list[tuple[int, int]] = field(default_factory=list)
    pages: dict[tuple[int, int], Page] = field(default_factory=dict)

    @property
    def base_addr(self) -> int:
        """Where the unit of CPU 0 begins."""
        return self.vm.addr


@dataclass(slots=True, eq=False)
class Percpu:
    """All per-CPU memory of a machine.  Linux: pcpu_chunk_lists, mm/percpu.c"""

    space: VmapSpace
    chunks: list[PcpuChunk] = field(default_factory=list)


def pcpu_create_chunk(percpu: Percpu) -> PcpuChunk | None:
    """Reserve addresses for one more chunk; its pages come later.

    Linux: pcpu_create_chunk(), mm/percpu-vm.c
    """
    size = PCPU_UNIT_SIZE * percpu.space.nr_cpus
    vm = get_vm_area(percpu.space, size, VmFlag.ALLOC | VmFlag.NO_GUARD, "pcpu_get_vm_areas")
    if vm is None:
        return None
    chunk = PcpuChunk(vm)
    percpu.chunks.append(chunk)
    percpu.space.emit(PercpuCreateChunk(chunk.base_addr))
    return chunk


def pcpu_alloc_area(chunk: PcpuChunk, size: int, align: int) -> int | None:
    """Return the lowest offset of a chunk where ``size`` aligned bytes are free, or None.

    Linux: pcpu_alloc_area(), mm/percpu.c
    """
    start = 0
    for used, length in chunk.used:
        if start + size <= used:
            break
        start = -(-(used + length) // align) * align
    return start if start + size <= PCPU_UNIT_SIZE else None


def pcpu_populate_chunk(percpu: Percpu, chunk: PcpuChunk, off: int, size: int) -> bool:
    """Put pages under a range of offsets, one for each CPU, where there are none; False without memory.

    Linux: pcpu_populate_chunk(), mm/percpu-vm.c
    """
    space = percpu.space
    for index in range(off >> PAGE_SHIFT, (off + size - 1 >> PAGE_SHIFT) + 1):
        for cpu in range(space.nr_cpus):
            if (cpu, index) in chunk.pages:
                continue
            page = alloc_pages(space.node, int(GFP_KERNEL), 0)
            if page is None:
                return False
            addr = chunk.base_addr + cpu * PCPU_UNIT_SIZE + index * PAGE_SIZE
            if not vmap_pages_range(space.tables, addr, [page.pfn]):
                free_pages(space.node, page, 0)
                return False
            chunk.pages[cpu, index] = page
    return True


def alloc_percpu(percpu: Percpu, size: int, align: int = 8) -> int:
    """Return the address, for CPU 0, of ``size`` bytes that each CPU has for itself, all zero; or 0.

    Linux: pcpu_alloc_noprof(), mm/percpu.c
    """
    size = -(-size // PCPU_MIN_ALLOC_SIZE) * PCPU_MIN_ALLOC_SIZE
    for chunk in percpu.chunks:
        off = pcpu_alloc_area(chunk, size, align)
        if off is not None:
            return _take(percpu, chunk, off, size, align)
    new = pcpu_create_chunk(percpu)
    return _take(percpu, new, 0, size, align) if new is not None else 0


def _take(percpu: Percpu, chunk: PcpuChunk, off: int, size: int, align: int) -> int:
    if not pcpu_populate_chunk(percpu, chunk, off, size):
        return 0
    ptr = chunk.base_addr + off
    insort(chunk.used, (off, size))
    percpu.space.emit(PercpuAllocPercpu(size, align, chunk.base_addr, off, ptr))
    for cpu in range(percpu.space.nr_cpus):
        vwrite(percpu.space, per_cpu_ptr(ptr, cpu), bytes(size))
    return ptr


def free_percpu(percpu: Percpu, ptr: int) -> None:
    """Give per-CPU memory back; of chunks with nothing in them one is kept.

    Raises KernelBug, and changes nothing, for what alloc_percpu() did not return.

    Linux: free_percpu(), mm/percpu.c
    """
    if not ptr:
        return
    chunk, entry = _find(percpu, ptr)
    chunk.used.remove(entry)
    percpu.space.emit(PercpuFreePercpu(chunk.base_addr, entry[0], ptr))
    empty = [chunk for chunk in percpu.chunks if not chunk.used]
    for surplus in empty[1:]:
        _destroy_chunk(percpu, surplus)


def _find(percpu: Percpu, ptr: int) -> tuple[PcpuChunk, tuple[int, int]]:
    """Return the chunk and the entry that begins at ``ptr``; say what is wrong otherwise."""
    for chunk in percpu.chunks:
        for off, size in chunk.used:
            if chunk.base_addr + off == ptr:
                return chunk, (off, size)
            if chunk.base_addr + off < ptr < chunk.base_addr + off + size:
                raise KernelBug(f"free_percpu of {ptr:#x}, the middle of {size} bytes that begin at "
                                f"{chunk.base_addr + off:#x}")
    if find_vm_area(percpu.space, ptr) is None:
        raise KernelBug(f"free_percpu of {ptr:#x}, which is no per-CPU memory")
    raise KernelBug(
        f"double free: free_percpu of {ptr:#x}, where nothing is in use; or it is the address of another CPU's copy"
    )


def _destroy_chunk(percpu: Percpu, chunk: PcpuChunk) -> None:
    percpu.chunks.remove(chunk)
    free_vm_area(percpu.space, chunk.vm)
    for page in chunk.pages.values():
        free_pages(percpu.space.node, page, 0)
    percpu.space.emit(PercpuDestroyChunk(chunk.base_addr))


def per_cpu_ptr(ptr: int, cpu: int) -> int:
    """Return the address of a CPU's own copy.  Linux: per_cpu_ptr(), include/linux/percpu-defs.h"""
    return ptr + cpu * PCPU_UNIT_SIZE


def this_cpu_read(percpu: Percpu, ptr: int, size: int = 8) -> int:
    """Return the running CPU's own number, of ``size`` bytes.  Linux: this_cpu_read(), include/linux/percpu-defs.h"""
    return int.from_bytes(vread(percpu.space, per_cpu_ptr(ptr, percpu.space.cpu), size), "little")


def this_cpu_add(percpu: Percpu, ptr: int, value: int, size: int = 8) -> None:
    """Add to the running CPU's own number; it wraps at ``size`` bytes.

    Linux: this_cpu_add(), include/linux/percpu-defs.h
    """
    total = this_cpu_read(percpu, ptr, size) + value & (1 << 8 * size) - 1
    vwrite(percpu.space, per_cpu_ptr(ptr, percpu.space.cpu), total.to_bytes(size, "little"))


def pcpu_nr_pages(percpu: Percpu) -> int:
    """Return how many pages are per-CPU memory: the line Percpu of /proc/meminfo, in pages.

    Linux: pcpu_nr_pages(), mm/percpu.c
    Simplified: without the chunk for static variables that Linux makes at boot.
    """
    return sum(len(chunk.pages) for chunk in percpu.chunks)
