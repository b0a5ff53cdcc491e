# SPDX-License-Identifier: GPL-2.0-only
"""/proc/vmallocinfo, and the lines of /proc/meminfo that stacks, vmalloc and per-CPU memory fill."""

from __future__ import annotations

from kmm_sim.machine import Machine
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import PAGE_SIZE
from kmm_sim.mm.percpu import pcpu_nr_pages
from kmm_sim.mm.vmalloc import VmFlag, VmStruct
from kmm_sim.mm.vmap_area import VMALLOC_END, VMALLOC_START
from kmm_sim.mm.vmap_node import waiting_areas
from kmm_sim.observe.stacks import kernel_stack_kb

__all__ = ["vmalloc_meminfo", "vmallocinfo"]

KINDS = (
    (VmFlag.IOREMAP, " ioremap"),
    (VmFlag.ALLOC, " vmalloc"),
    (VmFlag.MAP, " vmap"),
    (VmFlag.USERMAP, " user"),
    (VmFlag.DMA_COHERENT, " dma-coherent"),
)


def vmallocinfo(machine: Machine, *, hashed: bool = False) -> str:
    """Return the text of /proc/vmallocinfo: a line for each area, then those that wait for a purge.

    With ``hashed`` the addresses are hidden, as from a reader without privilege early after boot.

    Linux: vmalloc_info_show(), mm/vmalloc.c
    """
    space = machine.vmap_space
    areas = [va.vm for vn in space.nodes for va in vn.busy if va.vm is not None]
    lines = [_range(vm.addr, vm.size, hashed) + _describe(machine.node, vm) for vm in areas]
    lines += [_range(va.va_start, va.size, hashed) + " unpurged vm_area" for va in waiting_areas(space)]
    return "".join(f"{line}\n" for line in lines)


def _range(addr: int, size: int, hashed: bool) -> str:
    start, end = ("(____ptrval____)",) * 2 if hashed else (f"{addr:016x}", f"{addr + size:016x}")
    return f"0x{start}-0x{end} {size:7d}"


def _describe(node: Node, vm: VmStruct) -> str:
    text = f" {vm.caller}" if vm.caller else ""
    if vm.pages:
        text += f" pages={len(vm.pages)}"
    if vm.phys_addr:
        text += f" phys=0x{vm.phys_addr:016x}"
    text += "".join(word for flag, word in KINDS if vm.flags & flag)
    if vm.pages_addr:
        text += " vpages"
    counts: dict[int, int] = {}
    for page in vm.pages:
        counts[page.zone.nid] = counts.get(page.zone.nid, 0) + 1
    return text + "".join(f" N{nid}={count}" for nid, count in sorted(counts.items()))


def vmalloc_meminfo(machine: Machine) -> str:
    """Return the lines of /proc/meminfo that count stacks, vmalloc's pages and per-CPU memory.

    The kernel's own page tables are in none of its lines.

    Linux: meminfo_proc_show(), fs/proc/meminfo.c
    """
    space = machine.vmap_space
    lines = {
        "KernelStack": kernel_stack_kb(machine),
        "VmallocTotal": VMALLOC_END - VMALLOC_START >> 10,
        "VmallocUsed": space.nr_vmalloc_pages * PAGE_SIZE >> 10,
        "VmallocChunk": 0,
        "Percpu": pcpu_nr_pages(machine.percpu) * PAGE_SIZE >> 10,
    }
    return "".join(f"{name + ':':<16}{kb:8d} kB\n" for name, kb in lines.items())
