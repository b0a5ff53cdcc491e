# SPDX-License-Identifier: GPL-2.0-only
"""What happens to kernel stacks, step by step; Linux has no tracepoints for it."""

from __future__ import annotations

from dataclasses import dataclass

from kmm_sim.mm.vmalloc_events import VmallocEvent

__all__ = [
    "StackCacheAdd", "StackCacheDel", "StackEvent", "StackFree", "StackNew", "StackOver", "StackPop", "StackPush",
]


class StackEvent(VmallocEvent):
    """The base of all events that tell of stacks."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class StackNew(StackEvent):
    """A task began, with a stack of ``size`` bytes at ``addr``."""

    tracepoint = "sim_stack_new"
    pid: int
    comm: str
    addr: int
    size: int


@dataclass(frozen=True, slots=True)
class StackPush(StackEvent):
    """A function was called; its frame of ``size`` bytes begins at ``sp``, the lowest address."""

    tracepoint = "sim_stack_push"
    pid: int
    function: str
    sp: int
    size: int
    on_irq_stack: bool


@dataclass(frozen=True, slots=True)
class StackPop(StackEvent):
    """The function called last returned."""

    tracepoint = "sim_stack_pop"
    pid: int


@dataclass(frozen=True, slots=True)
class StackOver(StackEvent):
    """A frame went below the lowest byte that it may use and overwrote ``what``."""

    tracepoint = "sim_stack_over"
    pid: int
    sp: int
    what: str


@dataclass(frozen=True, slots=True)
class StackFree(StackEvent):
    """A task ended, and its stack was given back to where it came from."""

    tracepoint = "sim_stack_free"
    pid: int
    addr: int


@dataclass(frozen=True, slots=True)
class StackCacheAdd(StackEvent):
    """A task ended, and a CPU kept its stack for the next task."""

    tracepoint = "sim_stack_cache_add"
    pid: int
    cpu: int
    addr: int


@dataclass(frozen=True, slots=True)
class StackCacheDel(StackEvent):
    """A new task is about to take a stack that a CPU had kept."""

    tracepoint = "sim_stack_cache_del"
    cpu: int
    addr: int
