# SPDX-License-Identifier: GPL-2.0-only
"""The OOM killer: when nothing is left to reclaim, one process dies so that the rest can go on.

The victim is the process with the most memory, in pages and in swap: its death frees the most.

Linux: mm/oom_kill.c
Simplified: no oom_score_adj, no cgroups; the victim's memory comes back at once.
"""

from __future__ import annotations

from kmm_sim.mm.events import MarkVictim, OutOfMemory
from kmm_sim.mm.gfp import gfp_names
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import PAGE_SHIFT
from kmm_sim.mm.sched import Task
from kmm_sim.mm.show_mem import show_mem
from kmm_sim.mm.vmscan import lru_del

__all__ = ["oom_badness", "oom_kill_process", "out_of_memory"]


def oom_badness(task: Task) -> int:
    """Return how many pages a process's death would give back.

    Linux: oom_badness(), mm/oom_kill.c
    """
    return len(task.anon) + task.swapped


def out_of_memory(node: Node, gfp: int, order: int) -> bool:
    """Kill the process with the most memory; return False if there is none to kill.

    Linux: out_of_memory(), mm/oom_kill.c
    """
    if node.trace is not None:
        node.trace.emit(OutOfMemory(order, gfp))
    dump_header(node, gfp, order)
    victim = max(node.tasks, key=oom_badness, default=None)
    if victim is None or not oom_badness(victim):
        node.dmesg.append("Out of memory and no killable processes...")
        return False
    oom_kill_process(node, victim)
    return True


def dump_header(node: Node, gfp: int, order: int) -> None:
    """Write to the log who called the killer, and how memory stands.

    Linux: dump_header(), mm/oom_kill.c
    """
    node.dmesg.append(
        f"{node.current.comm} invoked oom-killer: gfp_mask={gfp:#x}({gfp_names(gfp)}), "
        f"order={order}, oom_score_adj=0"
    )
    node.dmesg += show_mem(node)


def oom_kill_process(node: Node, victim: Task) -> None:
    """Kill a process and take all its memory back.

    Linux: oom_kill_process(), mm/oom_kill.c
    """
    anon_kb = len(victim.anon) << (PAGE_SHIFT - 10)
    total_kb = oom_badness(victim) << (PAGE_SHIFT - 10)
    node.dmesg.append(
        f"Out of memory: Killed process {victim.pid} ({victim.comm}) total-vm:{total_kb}kB, "
        f"anon-rss:{anon_kb}kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:0kB oom_score_adj:0"
    )
    victim.oom_victim = True
    if node.trace is not None:
        node.trace.emit(MarkVictim(victim.pid, victim.comm))
    for pfn in sorted(victim.anon):
        lru_del(node, pfn)
    node.nr_swap_pages += victim.swapped
    victim.swapped = 0
    node.tasks.remove(victim)
