# SPDX-License-Identifier: GPL-2.0-only
"""The OOM killer: when nothing is left to reclaim, one process dies so that the rest can go on.

The victim is the process with the most memory, in pages and in swap: its death frees the most.
It may be the one that asks.  Then it goes on, with half of the min reserve, until it leaves the
kernel; only there it dies.  If there is nobody to kill, the kernel gives up for good: it panics.

Linux: mm/oom_kill.c
Simplified: no oom_score_adj, no cgroups, no rate limit; a victim that
does not run itself is gone at once; what the oom reaper takes two seconds to come for is taken when
somebody else finds no memory.
"""

from __future__ import annotations

from kmm_sim.errors import KernelBug
from kmm_sim.mm.events import MarkVictim, OutOfMemory
from kmm_sim.mm.gfp import gfp_names
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.page import PAGE_SHIFT
from kmm_sim.mm.sched import PF_KTHREAD, Task
from kmm_sim.mm.show_mem import mems_allowed, show_mem, slab_pages
from kmm_sim.mm.vmscan import lru_del

__all__ = [
    "exit_mmap",
    "oom_badness",
    "oom_kill_process",
    "oom_unkillable_task",
    "out_of_memory",
    "select_bad_process",
]

INIT_PID = 1


def oom_badness(task: Task) -> int:
    """Return how many pages a process's death would give back.

    Linux: oom_badness(), mm/oom_kill.c
    """
    return len(task.anon) + task.swapped


def oom_unkillable_task(task: Task) -> bool:
    """Return whether a task must not be killed: the first process, and the kernel's own threads.

    Linux: oom_unkillable_task(), mm/oom_kill.c
    """
    return task.pid == INIT_PID or bool(task.flags & PF_KTHREAD)


def _killable(node: Node) -> list[Task]:
    """Return all processes that may be killed, the current one too, in the order of their birth."""
    running = {id(task): task for task in (*node.tasks, node.current)}
    return sorted((task for task in running.values() if not oom_unkillable_task(task)), key=lambda task: task.pid)


def select_bad_process(node: Node) -> Task | None:
    """Return the process with the most memory, the youngest of several, or None if none may be killed.

    Linux: select_bad_process(), mm/oom_kill.c
    """
    return max(_killable(node)[::-1], key=oom_badness, default=None)


def out_of_memory(node: Node, gfp: int, order: int) -> bool:
    """Kill the process with the most memory; return whether there was one, or one is dying already.

    If nobody can be killed the kernel panics: KernelBug in teaching mode, else False.

    Linux: out_of_memory(), mm/oom_kill.c
    """
    if node.current.oom_victim:
        return True  # it has what it needs to get out
    dying = next((task for task in node.tasks if task.oom_victim), None)
    if dying is not None:
        exit_mmap(node, dying)
        return True
    if node.trace is not None:
        node.trace.emit(OutOfMemory(order, gfp))
    dump_header(node, gfp, order)
    victim = select_bad_process(node)
    if victim is None:
        node.dmesg.append("Out of memory and no killable processes...")
        panic(node, "System is deadlocked on memory")
        return False
    oom_kill_process(node, victim)
    return True


def panic(node: Node, why: str) -> None:
    """Stop everything, with a last line in the log; KernelBug in teaching mode.

    Linux: panic(), kernel/panic.c
    Simplified: without teaching the machine goes on, which a real one does not.
    """
    node.dmesg.append(f"Kernel panic - not syncing: {why}")
    if node.teaching:
        raise KernelBug(f"kernel panic: {why}; nothing can be reclaimed, and there is no process to kill")


def dump_header(node: Node, gfp: int, order: int) -> None:
    """Write to the log who called the killer, how memory stands, and which processes there are.

    Linux: dump_header(), mm/oom_kill.c
    """
    node.dmesg.append(
        f"{node.current.comm} invoked oom-killer: gfp_mask={gfp:#x}({gfp_names(gfp)}), "
        f"order={order}, oom_score_adj=0"
    )
    node.dmesg += show_mem(node)
    if should_dump_unreclaim_slab(node):
        node.dmesg += node.slab_report()
    node.dmesg += [
        "Tasks state (memory values in pages):",
        "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes "
        "swapents oom_score_adj name",
    ]
    node.dmesg += [dump_task(task) for task in _killable(node)]


def should_dump_unreclaim_slab(node: Node) -> bool:
    """Return whether slabs that nobody can empty have more pages than all processes and files.

    Linux: should_dump_unreclaim_slab(), mm/oom_kill.c
    """
    return slab_pages(node, node.nids)[1] > len(node.lru)


def dump_task(task: Task) -> str:
    """Return the line of a process in the table.

    Linux: dump_task(), mm/oom_kill.c
    """
    uid = rss_file = rss_shmem = pgtables = score = 0
    rss = len(task.anon)
    return (
        f"[{task.pid:7d}] {uid:5d} {task.pid:5d} {oom_badness(task):8d} {rss:8d} {rss:8d} {rss_file:8d} "
        f"{rss_shmem:9d} {pgtables:8d} {task.swapped:8d}         {score:5d} {task.comm}"
    )


def oom_kill_process(node: Node, victim: Task) -> None:
    """Kill a process; unless it is the one that runs, its memory comes back at once.

    Linux: oom_kill_process(), mm/oom_kill.c
    """
    anon_kb = len(victim.anon) << (PAGE_SHIFT - 10)
    total_kb = oom_badness(victim) << (PAGE_SHIFT - 10)
    node.dmesg += [
        f"oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed={mems_allowed(node)},"
        f"global_oom,task_memcg=/,task={victim.comm},pid={victim.pid},uid=0",
        f"Out of memory: Killed process {victim.pid} ({victim.comm}) total-vm:{total_kb}kB, "
        f"anon-rss:{anon_kb}kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:0kB oom_score_adj:0",
    ]
    victim.oom_victim = True
    if node.trace is not None:
        node.trace.emit(MarkVictim(victim.pid, victim.comm))
    if victim is not node.current:
        exit_mmap(node, victim)


def exit_mmap(node: Node, task: Task) -> None:
    """Take all memory of a process that ends back, in pages and in swap.

    Linux: exit_mmap(), mm/mmap.c
    """
    for pfn in sorted(task.anon):
        lru_del(node, pfn)
    node.nr_swap_pages += task.swapped
    task.swapped = 0
    if task in node.tasks:
        node.tasks.remove(task)
