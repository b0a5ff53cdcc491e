# SPDX-License-Identifier: GPL-2.0-only
"""What it costs to have a struct page for every page: the mem_map calculator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmm_sim.boot import parse_size
from kmm_sim.catalogue import _, ngettext
from kmm_sim.labs.ask import Question, among
from kmm_sim.labs.bench import Bench
from kmm_sim.labs.forms import sentence
from kmm_sim.labs.ftrace import ftrace
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.run import Run
from kmm_sim.labs.scene import Choice, Form, Node, Plot, Row, Scene, Series, Stage, Table, Text
from kmm_sim.labs.view import Called, Desk, View
from kmm_sim.mm.page import mem_map_cost
from kmm_sim.trace import Event

__all__ = ["MemMapLab", "Work", "mem_map_lab"]

TITLE = _("What does it cost to describe every page?")

RAM = ("512 MiB", "4 GiB", "16 GiB", "64 GiB", "1 TiB")
PAGES = ("4 KiB", "8 KiB", "16 KiB", "64 KiB")
STRUCTS = {"32": "x86-32, 2.6.34", "40": _("the books' guess"), "56": "x86-64, 2.6.34", "64": _("x86-64, 6.1 to 7.3")}


def mem_map_lab(*, link: str = "", title: str = "", caption: str = "") -> Bench:
    """Return a calculator: what the struct pages of a machine cost, by its memory and the size of a page.

    It opens with the sum of the notes, a machine of 4 GiB with pages of 8 KiB, and then today's.
    """
    lab = MemMapLab(title or TITLE, caption)
    run = Run(Desk(ram="4 GiB", page="8 KiB", struct="40"), lab)
    for work in (Work("4 GiB", "4 KiB", "56"), Work("4 GiB", "4 KiB", "64"), Work("1 TiB", "4 KiB", "64")):
        run.make(work)
    run.keep_as_recorded()
    return Bench(run, Opening("mem_map"), link)


@dataclass(frozen=True, slots=True)
class Work:
    """Work the cost out for a machine: RAM, page size, bytes of a struct page."""

    ram: str
    page: str
    struct: str

    def text(self) -> Text:
        """Return the sum as it would be written down."""
        return _("{ram} / {page} * {struct} bytes", ram=self.ram, page=self.page, struct=self.struct)

    def __call__(self, desk: Any) -> str:
        """Do it; return the cost and the share of memory."""
        desk.ram, desk.page, desk.struct = self.ram, self.page, self.struct
        cost = mem_map_cost(parse_size(self.ram), parse_size(self.page), int(self.struct))
        return f"{_amount(cost)}, {_share(int(self.struct), parse_size(self.page))}"


class MemMapLab:
    """From a machine's size to the share of it that describes the rest."""

    view = View(lambda desk: (desk.ram, desk.page, desk.struct))
    phrases: Mapping[str, str] = {}

    def __init__(self, title: Text = TITLE, caption: Text = "") -> None:
        self.title = title
        self.caption = caption

    def draw(self, state: tuple[str, str, str]) -> Scene:
        """Return the sum, line by line, and the share for each size of page."""
        ram, page, struct = state
        total, size, each = parse_size(ram), parse_size(page), int(struct)
        cost = mem_map_cost(total, size, each)
        rows: dict[str, Node] = {
            "t:pages": Row((_("pages: {ram} / {page}", ram=ram, page=page), f"{total // size:,}")),
            "t:bytes": Row((_("bytes: {each} for each", each=each), f"{cost:,}")),
            "t:mib": Row((_("that is"), _amount(cost)), tone=2, mark="now"),
            "t:share": Row((_("of all memory: {each} / {size:,}", each=each, size=size), _share(each, size)), tone=2,
                           mark="now"),
        }
        shares = tuple(round(100 * each / parse_size(other), 4) for other in PAGES)
        return {
            "": Stage(self.title, ("t", "p"), (_form(state),), (), self.caption, (("t", "t", "p"),)),
            "t": Table(_("The cost of mem_map"), STRUCTS[struct], (_("sum"), _("result")), tuple(rows), "lr"),
            **rows,
            "p": Plot(_("Share of memory"), _("by size of page"), ("p:share",), "bars", _("page"), "%", names=PAGES,
                      top=1.8),
            "p:share": Series(_("struct pages"), shares, 1),
        }

    def tell(self, event: Event) -> tuple[Any, ...]:
        """Return what was worked out."""
        assert isinstance(event, Called)
        words = _("One struct page for each page: {amount} of memory.", amount=event.answer)
        return "other", ftrace(event.events), words

    def ask(self, before: tuple[str, str, str], after: tuple[str, str, str], events: Sequence[Event]) -> Question:
        """Ask for the share of memory: it goes with the struct and the page, and not with the memory."""
        old_ram, ram = before[0], after[0]
        right, was = (_basis_points(int(struct), parse_size(page)) for _, page, struct in (after, before))
        grown = was * parse_size(ram) // parse_size(old_ram)
        likely = (each for each in (was, grown, 2 * right, right // 2, 4 * right) if each < 10_000)
        shares, answer = among(right, likely)
        options = tuple(f"{each / 100:.2f} %" for each in shares)
        return Question(_("What share of all memory will that be?"), options, answer)

    def read(self, action: Mapping[str, Any]) -> Work:
        """Return the sum that an action asks for; ValueError if a size is none of those on offer."""
        ram, page, struct = (str(action.get(name)) for name in ("ram", "page", "struct"))
        if ram not in RAM or page not in PAGES or struct not in STRUCTS:
            raise ValueError(_("no sum for {ram}, pages of {page} and {struct} bytes: choose from the lists",
                               ram=ram, page=page, struct=struct))
        return Work(ram, page, struct)


def _form(state: tuple[str, str, str]) -> Form:
    ram, page, struct = state
    parts = sentence(
        _("cost = {ram} / {page} * {struct};"), ram=Choice("ram", _("memory of the machine"), RAM, ram),
        page=Choice("page", _("size of a page"), PAGES, page),
        struct=Choice("struct", _("bytes of a struct page"), tuple(STRUCTS), struct, tuple(STRUCTS.values())))
    return Form("work", parts, _("Work it out"), "struct page *mem_map;")


def _basis_points(struct: int, page: int) -> int:
    return round(10_000 * struct / page)


def _share(struct: int, page: int) -> str:
    return f"{_basis_points(struct, page) / 100:.2f} %"


def _amount(size: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return ngettext("{n} byte", "{n} bytes", size)
