# SPDX-License-Identifier: GPL-2.0-only
"""Slabs as boxes on shelves: SLUB's, SLAB's, SLOB's, each from its own view of one moment.

A box is a slab and a slot is an object: filled while somebody holds it, hollow while it is free, with
arrows from each free object to the next.  The shelves are what the allocator has, its lists; or
what the notes speak of, full, partial and empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kmm_sim.catalogue import _
from kmm_sim.labs.scene import Box, Kind, Node, Shelf, Shelves, Text
from kmm_sim.mm.sheaves import MAX_FULL_SHEAVES
from kmm_sim.observe import BlockPage, CacheView, ListsView, SlabView, SlobView

__all__ = [
    "HELD", "IN_ARRAY", "KINDS", "SHEAF_KINDS", "Limits", "lists_shelves", "places_shelves", "sheaves_shelves",
    "slob_shelves", "states_shelves",
]  # fmt: skip

HELD, IN_ARRAY = "A", "C"
KINDS = (Kind(HELD, 1, _("in use")), Kind(IN_ARRAY, 2, _("free, in a CPU’s array")))
SHEAF_KINDS = (KINDS[0], Kind(IN_ARRAY, 2, _("free, in a sheaf")))
LISTS = {"full": (_("full"), "slabs_full"), "partial": (_("partial"), "slabs_partial"),
         "free": (_("free"), "slabs_free")}  # fmt: skip
Nodes = dict[str, Node]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept: slabs that a CPU puts aside and the node keeps; or entries of an array or a sheaf."""

    aside: int = 0
    node: int = 0
    array: int = 0


# SLUB


def states_shelves(panel: str, view: CacheView, title: Text, note: Text) -> Nodes:
    """Return SLUB's slabs by their state: full, partial, empty; each box says who has the slab."""
    boxes = {_key(panel, slab.pfn): _slub_box(view, slab, _where(slab)) for slab in view.slabs.values()}
    states = {"full": _("no object is free"), "partial": _("some are free, some in use"),
              "empty": _("no object is in use")}
    keys: dict[str, list[str]] = {state: [] for state in states}
    for slab in view.slabs.values():
        keys[_state(view, slab)].append(_key(panel, slab.pfn))
    names = {"full": _("full"), "partial": _("partial"), "empty": _("empty")}
    shelves = [(state, names[state], says, keys[state]) for state, says in states.items()]
    return _panel(panel, title, note, shelves, boxes)


def places_shelves(panel: str, view: CacheView, title: Text, note: Text, limits: Limits) -> Nodes:
    """Return SLUB's slabs by where they are: with a CPU, put aside by it, on the node's list, full."""
    boxes = {
        _key(panel, slab.pfn): _slub_box(view, slab, _("empty") if _state(view, slab) == "empty" else "")
        for slab in view.slabs.values()
    }
    shelves: list[tuple[str, Text, Text, Iterable[str]]] = []
    for cpu, its in enumerate(view.cpus):
        own = [_key(panel, its.slab)] if its.slab is not None else []
        shelves.append((f"cpu{cpu}", f"CPU {cpu}", _("its slab"), own))
        shelves.append((f"aside{cpu}", _("CPU {cpu}, aside", cpu=cpu), _("{n} at most", n=limits.aside),
                        _keys(panel, its.partial)))
    shelves.append(("node", _("Node"), _("partial, keeps {n}", n=limits.node), _keys(panel, view.partial)))
    full = [_key(panel, slab.pfn) for slab in view.slabs.values() if not slab.place]
    shelves.append(("full", _("Full"), _("on no list"), full))
    return _panel(panel, title, note, shelves, boxes)


def _slub_box(view: CacheView, slab: SlabView, note: Text) -> Box:
    free = _free(view, slab)
    held = tuple("" if index in free else HELD for index in range(slab.objects))
    on_cpu = slab.place.startswith("cpu ") and not slab.place.endswith("partial")
    return Box(_("slab {pfn}", pfn=slab.pfn), held, chain=_chain(view, slab), note=note, tone=3 if on_cpu else 0,
               state="slab")


def _free(view: CacheView, slab: SlabView) -> set[int]:
    return set(slab.freelist) | {index for cpu in view.cpus if cpu.slab == slab.pfn for index in cpu.freelist}


def _chain(view: CacheView, slab: SlabView) -> tuple[int, ...]:
    """The list that objects are taken from: the CPU's, if it has one of this slab."""
    return next((cpu.freelist for cpu in view.cpus if cpu.slab == slab.pfn and cpu.freelist), slab.freelist)


def _state(view: CacheView, slab: SlabView) -> str:
    free = len(_free(view, slab))
    return "full" if not free else "empty" if free == slab.objects else "partial"


def _where(slab: SlabView) -> str:
    if slab.place in ("", "partial"):
        return _("node") if slab.place else ""
    cpu = slab.place.split()[1]
    return _("CPU {cpu}, aside", cpu=cpu) if slab.place.endswith("partial") else f"CPU {cpu}"


# SLUB with sheaves


def sheaves_shelves(panel: str, view: CacheView, title: Text, note: Text, limits: Limits) -> Nodes:
    """Return the sheaves of the CPUs and of the barn, whose slots stand for objects, and the slabs behind them."""
    cached = {at for sheaves in view.sheaves.values() for sheaf in sheaves for at in sheaf.objects}
    boxes: dict[str, Box] = {}
    most = limits.array
    for slab in view.slabs.values():
        letters = tuple("" if index in slab.freelist else IN_ARRAY if (slab.pfn, index) in cached else HELD
                        for index in range(slab.objects))
        boxes[_key(panel, slab.pfn)] = Box(_("slab {pfn}", pfn=slab.pfn), letters, chain=slab.freelist, state="slab")
    shelves: list[tuple[str, Text, Text, Iterable[str]]] = []
    for cpu in range(len(view.cpus)):
        its = {f"{panel}:sheaf{sheaf.number}": _array(panel, said.format(sheaf.number), sheaf.objects, most)
               for name, said in (("main", _("main: sheaf {0}")), ("spare", _("spare: sheaf {0}")))
               for sheaf in view.sheaves.get(f"cpu {cpu} {name}", ())}
        shelves.append((f"cpu{cpu}", f"CPU {cpu}", _("its sheaves"), its))
        boxes |= its
    barn = {f"{panel}:sheaf{sheaf.number}": _array(panel, _("sheaf {number}", number=sheaf.number), sheaf.objects, most)
            for state in ("full", "empty") for sheaf in view.sheaves.get(f"barn {state}", ())}
    shelves.append(("barn", _("Barn"), _("{most} full ones at most", most=MAX_FULL_SHEAVES), barn))
    shelves.append(("node", _("Node"), _("partial, keeps {n}", n=limits.node), _keys(panel, view.partial)))
    full = [_key(panel, slab.pfn) for slab in view.slabs.values() if not slab.place]
    shelves.append(("full", _("Full"), _("on no list"), full))
    return _panel(panel, title, note, shelves, boxes | barn)


# SLAB


def lists_shelves(panel: str, view: ListsView, title: Text, note: Text, limits: Limits) -> Nodes:
    """Return SLAB's slabs on its three lists, and its arrays, whose slots stand for objects in the slabs."""
    arrays = {f"{panel}:array{cpu}": _array(panel, f"CPU {cpu}", objects, limits.array)
              for cpu, objects in enumerate(view.arrays)}
    if len(view.arrays) > 1:
        arrays[f"{panel}:shared"] = _array(panel, _("shared"), view.shared, 0)
    cached = {at for objects in (*view.arrays, view.shared) for at in objects}
    boxes: dict[str, Box] = dict(arrays)
    for slab in view.slabs.values():
        letters = tuple("" if index in slab.free else IN_ARRAY if (slab.pfn, index) in cached else HELD
                        for index in range(slab.objects))
        boxes[_key(panel, slab.pfn)] = Box(_("slab {pfn}", pfn=slab.pfn), letters, chain=slab.free, state="slab")
    shelves: list[tuple[str, Text, Text, Iterable[str]]] = [
        ("arrays", _("Arrays"), _("the newest object goes out first"), arrays),
        *((name, label, says, _keys(panel, view.lists[name])) for name, (label, says) in LISTS.items()),
    ]
    return _panel(panel, title, note, shelves, boxes)


def _array(panel: str, label: str, objects: Sequence[tuple[int, int]], limit: int) -> Box:
    refs = tuple(f"{_key(panel, pfn)}/{index}" for pfn, index in objects)
    note = _("{used} of {objects}", used=len(objects), objects=limit) if limit else ""
    return Box(label, (IN_ARRAY,) * len(objects), refs=refs, note=note, tone=2)


# SLOB


def slob_shelves(panel: str, view: SlobView, title: Text, note: Text) -> Nodes:
    """Return SLOB's pages on its three lists; a slot is a block, as wide as it has bytes."""
    boxes = {_key(panel, page.pfn): _slob_box(page) for page in view.pages.values()}
    lists = {"small": (_("small"), _("blocks below 256 bytes")), "medium": (_("medium"), _("below 1024")),
             "large": (_("large"), _("the rest"))}  # fmt: skip
    shelves: list[tuple[str, Text, Text, Iterable[str]]] = [
        (name, label, says, _keys(panel, view.lists[name])) for name, (label, says) in lists.items()
    ]
    full = [_key(panel, page.pfn) for page in view.pages.values() if not page.on]
    return _panel(panel, title, note, [*shelves, ("full", _("full"), _("on no list"), full)], boxes)


def _slob_box(page: BlockPage) -> Box:
    held = dict(page.held)
    blocks = sorted([*page.held, *page.free])
    chain = tuple(nth for nth, (offset, _size) in enumerate(blocks) if offset not in held)
    free = sum(size for _offset, size in page.free)
    return Box(_("page {pfn}", pfn=page.pfn), tuple(HELD if offset in held else "" for offset, _size in blocks),
               widths=tuple(size for _offset, size in blocks), chain=chain, note=_("{free} bytes free", free=free),
               state="slab")


# All


def _panel(panel: str, title: Text, note: Text, shelves: Iterable[tuple[str, Text, Text, Iterable[str]]],
           boxes: Mapping[str, Box]) -> Nodes:
    made = {f"{panel}:{name}": Shelf(label, says, tuple(keys)) for name, label, says, keys in shelves}
    return {panel: Shelves(title, note, tuple(made)), **made, **boxes}


def _key(panel: str, pfn: int) -> str:
    return f"{panel}:{pfn}"


def _keys(panel: str, pfns: Iterable[int]) -> list[str]:
    return [_key(panel, pfn) for pfn in pfns]


