# SPDX-License-Identifier: GPL-2.0-only
"""A lab with every panel and every gap that labs are drawn with: for who writes a lab, and for tests.

python tools/every_panel.py PAGE.html       write it as a page to look at, with a run to play
"""

import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kmm_sim.labs.bench import Bench
from kmm_sim.labs.run import Run
from kmm_sim.labs.scene import (
    Block,
    Box,
    Bytes,
    Cells,
    Choice,
    EntryList,
    Flags,
    Flow,
    Form,
    Kind,
    Line,
    Lists,
    Map,
    Mark,
    Number,
    Pick,
    Plot,
    Row,
    Series,
    Shelf,
    Shelves,
    Span,
    Stage,
    Step,
    Table,
    Toggle,
    Typed,
    strips,
)
from kmm_sim.labs.view import Called, Desk, View

PANELS = ("m", "f", "t", "w", "s", "v", "q", "b", "k", "p", "h", "M", "l")
LAYOUT = (("m", "m", "m", "f", "f"), ("t", "t", "w"), ("s",), ("v",), ("q",), ("b", "k"), ("p", "h"), ("M",))
PAGES = 1 << 21
KINDS = (Kind("A", 1, "allocated by A"), Kind("B", 2, "allocated by B"))
LEGEND = (Kind("r", 4, "reserved"), Kind("u", 1, "used"), Kind("m", 2, "movable"), Kind("f", 0, "free"))
FLAGS = ("__GFP_IO", "__GFP_FS", "__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM", "__GFP_HIGH", "__GFP_NOWARN")
FORMS = (
    Form(
        "alloc",
        (
            "p = kmalloc(",
            Number("size", "size in bytes", 64, 0, 8192, step=8),
            ", ",
            Choice("gfp", "gfp", ("GFP_KERNEL", "GFP_ATOMIC"), "GFP_KERNEL", ("may sleep", "may not sleep")),
            ");",
        ),
        "Allocate",
        "void *kmalloc(size_t size, gfp_t flags);",
    ),
    Form(
        "free",
        ("kfree(", Pick("object", "object", ("s",), of="slots"), ");"),
        "Free",
        "void kfree(const void *p);",
        "or click an object",
        "object",
    ),
    Form(
        "decode",
        (
            Flags("flags", "flags", FLAGS, ("__GFP_IO",), ("may start I/O",)),
            Toggle("lock", "spinlock held", True),
            " at ",
            Typed("address", "address", "0xffff888000040040", 18),
        ),
        "Decode",
        "gfp_t",
    ),
    Form(
        "look",
        ("pfn_to_page(", Pick("page", "page", ("M",), of="cells"), ");"),
        "Look",
        "struct page *pfn_to_page(unsigned long pfn);",
        "or click a page",
        "page",
    ),
    Form(
        "get",
        ("get_page(", Pick("row", "field", ("t",), "held"), ");"),
        "Get",
        "void get_page(struct page *page);",
        block="row",
    ),
)


@dataclass(frozen=True)
class Do:
    """A call that counts up, and remembers what was asked for."""

    action: str

    def text(self):
        """Return the call as C."""
        return f"do({self.action})"

    def __call__(self, desk):
        """Make the call."""
        desk.calls += 1
        desk.asked = self.action
        return desk.calls


class EveryPanelLab:
    """A lab on a desk without a machine: its state is how many calls were made, and the last one."""

    view = View(lambda desk: (desk.calls, desk.asked))
    phrases = MappingProxyType({"says.did": "Call {0} is made.", "log.did": "sim_call: number={0}"})

    def __init__(self, panels=PANELS, forms=FORMS):
        self.panels = panels
        self.forms = forms

    def draw(self, state):
        """Return the scene of a state."""
        calls, asked = state
        layout = tuple(filter(None, (tuple(key for key in row if key in self.panels) for row in LAYOUT)))
        stage = Stage("Every panel", self.panels, self.forms, KINDS, "What all labs are made of.", layout)
        return {
            "": stage,
            **_memory(),
            **_table(calls, asked),
            **_slabs(calls),
            **_areas(),
            **_flows(calls),
            **_bytes(calls),
            **_plots(calls),
            **_map(calls),
        }

    def tell(self, event):
        """Return an event as a phrase."""
        assert isinstance(event, Called)
        return "did", event.answer

    def read(self, action):
        """Return the call for an action: the calls are all alike."""
        if action.get("size") == "nonsense":
            raise ValueError("a size is a number of bytes, not 'nonsense'")
        return Do(json.dumps({name: value for name, value in action.items() if name != "at"}))


def _memory():
    return {
        "m": Cells("Memory", "16 pages", 0, 16, 8),
        "m:0": Block(2, "used", "A"),
        "m:4": Block(2),
        "m:8": Block(3),
        "f": Lists("Free lists", "head first", ("f:2", "f:3"), ("m",)),
        "f:2": EntryList("order 2", "", ("m:4",)),
        "f:3": EntryList("order 3", "", ("m:8",)),
    }


def _table(calls, asked):
    return {
        "t": Table(
            "struct page", "pfn 12", ("field", "value", "meaning"), ("t:flags", "t:ref", "t:map", "t:priv"), "ccl"
        ),
        "t:flags": Row(
            ("flags", "0x17ffffc0000000", "node 0, zone Normal"), mark="yes", says="The zone is in the highest bits."
        ),
        "t:ref": Row(("_refcount", calls + 1, "users"), 2, "now", "put_page() takes one away.", "held"),
        "t:map": Row(("_mapcount", -1, "<b>nobody</b> maps it"), mark="no"),
        "t:priv": Row(("private", "0", asked), mark="skip"),
    }


def _slabs(calls):
    full = calls >= 2
    slots = ["A", "B" if calls else "", "A", "B", "", "A", "", ""]
    slots = ("A",) * 8 if full else tuple(slots)
    chain = () if full else (6, 4, 7) if calls else (1, 6, 4, 7)
    return {
        "s": Shelves("kmalloc-64", "slabs of one page", ("s:cpu", "s:full", "s:partial", "s:empty")),
        "s:cpu": Shelf("CPU 0", "its own slab", ("s:9",)),
        "s:full": Shelf("full", "", ("s:64",) if full else ()),
        "s:partial": Shelf("partial", "on the node", () if full else ("s:64",)),
        "s:empty": Shelf("empty"),
        "s:9": Box(
            "pfn 9",
            ("A",) * 20 + ("",) * 12,
            chain=tuple(range(20, 32)),
            note="frozen",
            tone=3,
            says="CPU 0 takes from it.",
        ),
        "s:64": Box("pfn 64", slots, chain=chain, state="full" if full else "partial"),
    }


def _areas():
    return {
        "v": Shelves("vmalloc", "virtual areas", ("v:areas",)),
        "v:areas": Shelf("areas", "lowest first", ("v:0",)),
        "v:0": Box(
            "0xffffc90000000000",
            ("A", "", "B", ""),
            (2, 1, 4, 1),
            refs=("m:0", "", "m:8", ""),
            says="Guard pages between.",
        ),
    }


def _flows(calls):
    retry = "failed" if calls > 1 else "now" if calls else "todo"
    return {
        "w": Flow("The slow path", "", ("w:wake", "w:retry", "w:compact", "w:oom")),
        "w:wake": Step("wake kswapd", "done" if calls else "now", "", "below the low mark"),
        "w:retry": Step("retry at min", retry, "12 < 20 pages", "min, and half of it for __GFP_HIGH"),
        "w:compact": Step("compact", "skipped", "", "order 0 needs none"),
        "w:oom": Step("OOM kill"),
        "q": Flow(
            "Page-table walk", "of 0xffffc90000001000", ("q:pgd", "q:pud", "q:pmd", "q:pte", "q:page"), across=True
        ),
        "q:pgd": Step("PGD", "done", "[402]"),
        "q:pud": Step("PUD", "done", "[0]"),
        "q:pmd": Step("PMD", "done", "[0]"),
        "q:pte": Step("PTE", "now", "[1]", "present, writable"),
        "q:page": Step("page", "todo", "pfn 0", refs="m:0"),
    }


def _bytes(calls):
    return {
        "b": Bytes("The object", "as bytes", 0xFFFF888000040040, ("b:red", "b:object", "b:next", "b:rest"), columns=8),
        "b:red": Span(8, fill=0xBB, tone=4, letter="R", label="red zone"),
        "b:object": Span(40, (1, 2, 3, calls + 4, 0x41, 0x42), 0x6B, 1, "A", "object", "what kmalloc() returned"),
        "b:next": Span(16, (0,) * 16, tone=2, letter="F", label="freelist pointer"),
        "b:rest": Span(960, label="the rest"),
        "k": Bytes("A stack", "high addresses on top", 0x1000, ("k:free", "k:frame"), columns=8, down=True),
        "k:free": Span(64, label="not used yet"),
        "k:frame": Span(16, (7,) * 16, tone=5, letter="f", label="f()"),
    }


def _plots(calls):
    return {
        "p": Plot("Free pages", "by order", ("p:0", "p:1"), "steps", "event", "pages", marks=(Mark("min", 12, 4),)),
        "p:0": Series("order 0", tuple(n * 7 % 40 for n in range(30 + calls)), 1),
        "p:1": Series("order 1", tuple(60 - n * n % 40 for n in range(30 + calls)), 2),
        "h": Plot(
            "Waste", "bytes by size", ("h:0",), "bars", "size", "bytes", names=tuple(str(8 * n) for n in range(1, 13))
        ),
        "h:0": Series("waste", tuple(n * 13 % 24 for n in range(1, 13)), 5),
        "l": Line("/proc/slabinfo", f"kmalloc-64         {calls:4}   1024     64   64    1"),
    }


def _map(calls):
    rng, runs, at = random.Random(3), [("r", 256)], 256
    while at < PAGES:
        size = min(rng.choice((1, 3, 7, 64, 512, 4096, 60000)), PAGES - at)
        runs.append((rng.choice("uffm"), size))
        at += size
    if calls:
        runs[5] = ("r", runs[5][1])
    zones = ((0, "DMA"), (4096, "DMA32"), (1 << 20, "Normal"))
    return {"M": Map("Memory of the machine", "8 GiB", 0, PAGES, LEGEND, zones), **strips("M", 0, runs)}


def every_panel_lab(panels=PANELS, forms=FORMS, calls=3):
    """Return the lab, with a recorded run of so many calls."""
    run = Run(Desk(calls=0, asked=""), EveryPanelLab(panels, forms))
    for number in range(calls):
        run.make(Do(f"call {number}"))
    run.keep_as_recorded()
    return Bench(run)


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Every panel</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>{css}</style><main><div id="lab"></div></main>
<script id="state" type="application/json">{state}</script><script id="code" type="text/plain">{code}</script>
<script type="module">
const state = JSON.parse(document.getElementById("state").textContent);
const code = new Blob([document.getElementById("code").textContent], {{ type: "text/javascript" }});
const model = {{ get: (name) => state[name], on() {{}}, off() {{}}, send() {{}} }};
(await import(URL.createObjectURL(code))).default.render({{ model, el: document.getElementById("lab") }});
</script></html>"""


def page(bench):
    """Return a page with a bench on it, without Python: its run can be played."""
    state = json.dumps({name: getattr(bench, name) for name in ("scene", "frames", "phrases", "about")})
    return PAGE.format(css=bench._css, code=bench._esm, state=state.replace("<", "\\u003c"))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(every_panel_lab()), encoding="utf-8")
