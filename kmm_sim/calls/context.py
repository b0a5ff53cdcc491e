# SPDX-License-Identifier: GPL-2.0-only
"""Contexts and memory pressure: who runs, what he is in the middle of, and who else has memory."""

from __future__ import annotations

from contextlib import AbstractContextManager
from operator import index

from kmm_sim.mm.gfp import GFP_HIGHUSER_MOVABLE
from kmm_sim.mm.mmzone import Node
from kmm_sim.mm.oom_kill import exit_mmap
from kmm_sim.mm.page_alloc import alloc_pages, free_pages
from kmm_sim.mm.sched import CONTEXTS, Task, enter
from kmm_sim.mm.vmscan import balance_pgdat, lru_add

__all__ = ["ContextCalls"]


class ContextCalls:
    """What else happens on a machine while a driver asks for memory."""

    node: Node

    @property
    def current(self) -> Task:
        """The task that runs and makes the calls."""
        return self.node.current

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The processes that have memory of their own."""
        return tuple(self.node.tasks)

    def context(self, name: str) -> AbstractContextManager[None]:
        """Let the current task be in a context for the length of a ``with`` block.

        ``name`` is one of kmm_sim.mm.sched.CONTEXTS: ``"spinlock"``, ``"softirq"``, ``"hardirq"``,
        ``"irqs off"``, ``"fs"``, ``"io"``, ``"noio"``, ``"nofs"``, ``"memalloc"``.
        """
        if name not in CONTEXTS:
            raise ValueError(f"unknown context {name!r}: there are {', '.join(CONTEXTS)}")
        return enter(self.node.current, name)

    def read_file(self, nr_pages: int, dirty: bool = False) -> int:
        """Bring pages of a file into the page cache, or write new ones; return how many it got.

        Linux: filemap_alloc_folio(), mm/filemap.c
        """
        return self._populate(nr_pages, None, dirty)

    def start_process(self, comm: str, nr_pages: int) -> Task:
        """Start a process that touches so many pages of anonymous memory, as far as there are."""
        self.node.last_pid += 1
        task = Task(comm, self.node.last_pid)
        self.node.tasks.append(task)
        self._populate(nr_pages, task, dirty=False)
        return task

    def exit_process(self, task: Task) -> None:
        """End a process: all its memory comes back.

        If it is the current task, a new one, that has done nothing yet, makes the next calls.

        Linux: exit_mmap(), mm/mmap.c
        """
        exit_mmap(self.node, task)
        if task is self.node.current:
            self.node.current = Task()

    def swapon(self, nr_pages: int) -> None:
        """Add so many pages of swap space.  Linux: swapon(), mm/swapfile.c"""
        if index(nr_pages) < 0:
            raise ValueError(f"{nr_pages} pages of swap: 0 or more")
        self.node.nr_swap_pages += nr_pages
        self.node.total_swap_pages += nr_pages

    def run_kswapd(self) -> int:
        """Let the kswapd of each bank run, if somebody has woken it; return how many pages were reclaimed."""
        return sum(balance_pgdat(self.node, nid) for nid in self.node.nids)

    def _populate(self, nr_pages: int, owner: Task | None, dirty: bool) -> int:
        if index(nr_pages) < 0:
            raise ValueError(f"{nr_pages} pages: 0 or more")
        for done in range(nr_pages):
            page = alloc_pages(self.node, int(GFP_HIGHUSER_MOVABLE), 0)
            if page is None:
                return done
            if owner is not None and owner.oom_victim:  # killed while it asked for more
                free_pages(self.node, page, 0)
                return done
            lru_add(self.node, page, owner, dirty)
        return nr_pages
