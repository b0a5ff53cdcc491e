# SPDX-License-Identifier: GPL-2.0-only
"""Ways to look at a machine.  Nothing in here changes one."""

from kmm_sim.observe.dump import dump
from kmm_sim.observe.percpu import PercpuSnapshot, mempool_replay, percpu_replay, percpu_snapshot
from kmm_sim.observe.procfs import buddyinfo, meminfo, pagetypeinfo, zoneinfo
from kmm_sim.observe.replay import frames, replay
from kmm_sim.observe.slab_lists import ListedSlab, ListsView, lists_frames, lists_replay, lists_snapshot
from kmm_sim.observe.slab_object import Region, object_layout
from kmm_sim.observe.slabinfo import slabinfo, sysfs_slab
from kmm_sim.observe.slabs import CacheView, CpuView, SheafView, SlabView, slab_frames, slab_replay, slab_snapshot
from kmm_sim.observe.slob_pages import BlockPage, SlobView, slob_frames, slob_replay, slob_snapshot
from kmm_sim.observe.snapshot import (
    Allocation,
    FreeBlocks,
    PcpBlocks,
    Reclaimable,
    Snapshot,
    ZoneSnapshot,
    snapshot,
)
from kmm_sim.observe.stack_bytes import StackPart, stack_parts
from kmm_sim.observe.stacks import (
    StackSnapshot,
    kernel_stack_kb,
    stack_frames,
    stack_replay,
    stack_snapshot,
    validate_stacks,
)
from kmm_sim.observe.validate import validate, validate_zone
from kmm_sim.observe.validate_slab import validate_slab
from kmm_sim.observe.validate_vmalloc import validate_vmalloc
from kmm_sim.observe.vmallocinfo import vmalloc_meminfo, vmallocinfo
from kmm_sim.observe.vmap import VmapSnapshot, vmap_frames, vmap_replay, vmap_snapshot

__all__ = [
    "Allocation",
    "BlockPage",
    "CacheView",
    "CpuView",
    "FreeBlocks",
    "ListedSlab",
    "ListsView",
    "PcpBlocks",
    "PercpuSnapshot",
    "Reclaimable",
    "Region",
    "SheafView",
    "SlabView",
    "SlobView",
    "Snapshot",
    "StackPart",
    "StackSnapshot",
    "VmapSnapshot",
    "ZoneSnapshot",
    "buddyinfo",
    "dump",
    "frames",
    "kernel_stack_kb",
    "lists_frames",
    "lists_replay",
    "lists_snapshot",
    "meminfo",
    "mempool_replay",
    "object_layout",
    "pagetypeinfo",
    "percpu_replay",
    "percpu_snapshot",
    "replay",
    "slab_frames",
    "slab_replay",
    "slab_snapshot",
    "slabinfo",
    "slob_frames",
    "slob_replay",
    "slob_snapshot",
    "snapshot",
    "stack_frames",
    "stack_parts",
    "stack_replay",
    "stack_snapshot",
    "sysfs_slab",
    "validate",
    "validate_slab",
    "validate_stacks",
    "validate_vmalloc",
    "validate_zone",
    "vmalloc_meminfo",
    "vmallocinfo",
    "vmap_frames",
    "vmap_replay",
    "vmap_snapshot",
    "zoneinfo",
]
