"""Print what labs show without having asked the catalogue: {lab: [texts]}, as JSON.  test_catalogue.py runs it.

The language spoken here has every text in brackets.  What is left outside of them is the kernel's, or was forgotten.
"""

import gettext
import json
import re
from itertools import chain

from kmm_sim import catalogue
from kmm_sim.errors import KernelError
from kmm_sim.mm.events import SlowPath


class Brackets(gettext.NullTranslations):
    def gettext(self, message):
        return f"⟦{message}⟧"

    def ngettext(self, msgid1, msgid2, n):
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


catalogue._spoken = Brackets()

# What a machine objects to, and its reasons in the trace, are its own.
KernelError.__str__ = lambda self: f"⟦{Exception.__str__(self)}⟧"
init = SlowPath.__init__
SlowPath.__init__ = lambda self, stage, reason: init(self, stage, f"⟦{reason}⟧")

from kmm_sim import Machine, labs  # noqa: E402  # in this language
from kmm_sim.labs.pages import MASKS, Allocate, OnPage, Write  # noqa: E402
from kmm_sim.labs.recorded import FROM_AN_INTERRUPT, WINDOWS_ON_HIGH_MEMORY, ZONE_AFTER_ZONE  # noqa: E402
from kmm_sim.labs.scene import apply  # noqa: E402
from kmm_sim.mm.mmzone import ZONE_NAMES  # noqa: E402

LABS = {
    "buddy": lambda: labs.buddy_lab(script="+0 +2 +0 -1 +1 +1 -0", pages=16, detail=True),
    "choose": labs.choose_lab,
    "gfp": lambda: labs.gfp_lab("clean cache", FROM_AN_INTERRUPT),
    "gfp_in_need": lambda: labs.gfp_lab("reserves gone", ["GFP_ATOMIC", "GFP_KERNEL", ("GFP_KERNEL", 4)]),
    "kmalloc": lambda: labs.kmalloc_lab("+100 +100 +90 -0 +120 +9000"),
    "mem_map": labs.mem_map_lab,
    "pages": lambda: labs.pages_lab(calls=[Allocate(MASKS["GFP_KERNEL"], 1), Write("word"), OnPage("get")]),
    "pages_of_high_memory": lambda: labs.pages_lab(Machine.preset("lkd-32bit"), WINDOWS_ON_HIGH_MEMORY),
    "slab": lambda: labs.slab_lab("+1 +4 +1 -0 -1-4 +1 shrink"),
    "slab_by_place": lambda: labs.slab_lab("+12 @1 -0 -1 -7 -8 +1 @0 -2-4", by="place", cpus=2),
    "slab_lists": lambda: labs.slab_lab("+1 +4 -0 +6 -1-9 shrink", allocator="slab"),
    "slab_blocks": lambda: labs.slab_lab("+9 -1 -3-4 +1 -0 -2", allocator="slob", cache="x", size=200),
    "slab_sheaves": lambda: labs.slab_lab("+9 -0-8 @1 +1 shrink", allocator="sheaves", cpus=2),
    "slab_debug": lambda: labs.slab_debug_lab("take write:64 free take write:3 free free"),
    "stack": lambda: labs.stack_lab(script="528x14 528 schedule 528x15 528"),
    "three_slabs": lambda: labs.three_slabs_lab("a3 b4 -1 b1 a4 -0 -2 shrink", a=600, b=300),
    "vmalloc": lambda: labs.vmalloc_lab(script="alloc:2 +4 touch:A0 all:A direct:A +1 touch:A4 -A"),
    "workload": lambda: labs.workload_lab(seconds=10),
    "zones": lambda: labs.zones_lab(calls=ZONE_AFTER_ZONE),
}

# The properties of a scene that a reader sees, in which there is no C.  A Line's text is not among them: there the
# kernel speaks.  The members of a struct are in a table that is named for it.
TEXT = {"title", "note", "caption", "label", "says", "x", "y", "value", "button", "hint"}
TEXTS = {"columns", "cells", "names", "notes", "words"}
MEMBERS = "struct "
KERNEL = re.compile(rf"""
    /[\w/]+ | \w+\([^()]*\)                       # a file in /proc; a call
  | \b\w*[_\d]\w*(-\w+)* | \b[A-Za-z][\w.-]*-\d+  # a name with an underscore or a digit
  | \b\w+[=:](\w|\S*\() \S*                       # a flag's or an argument's name, and its value
  | \b({"|".join(ZONE_NAMES)})\b
""", re.VERBOSE)
WORD = re.compile(r"[a-z]{2,}")
C = re.compile(r"[;={}*]|\w\(")
COMMENT = re.compile(r"/\*(.*?)\*/")


def outside(text):
    """The part of a text that is in no brackets, and in no gap."""
    before = None
    while text != before:
        before, text = text, re.sub(r"⟦[^⟦⟧]*⟧", "⟨⟩", text)
    return re.sub(r"\{[^{}]*\}", "⟨⟩", text)


def forgotten(text, c=False):
    """Has a text words that are neither translated nor the kernel's?  In C, those of its comments."""
    rest = outside(text)
    if c and C.search(COMMENT.sub("", rest)):
        rest = " ".join(COMMENT.findall(rest))
    return bool(WORD.search(KERNEL.sub("", rest)))


def said(text, phrases):
    """What a reader reads of a text: itself, or what goes into the gaps of a phrase."""
    if isinstance(text, str):
        yield text
    elif isinstance(text, list) and text and text[0] in phrases:
        gaps = set(map(int, re.findall(r"\{(\d+)", phrases[text[0]])))
        for at, gap in enumerate(text[1:]):
            if at in gaps:
                yield from said(gap, phrases)


def of_scene(scene, keys, phrases):
    """The texts of these nodes of a scene, and whether each may be C."""
    members = {row for node in scene.values() if is_struct(node) for row in node["rows"]}
    for key in keys:
        for name, value in scene[key].items():
            if name == "forms":
                yield from chain.from_iterable(of_form(form, phrases) for form in value)
                continue
            if name in ("kinds", "legend", "marks"):
                value = [each.get("says", each.get("label", "")) for each in value]
            elif name in TEXT:
                value = [] if is_struct(scene[key]) and name == "title" else [value]
            elif name not in TEXTS or isinstance(value, int):
                continue
            for text in value[1:] if name == "cells" and key in members else value:
                yield from ((each, False) for each in said(text, phrases))


def is_struct(node):
    return str(node.get("title", "")).startswith(MEMBERS)


def of_form(form, phrases):
    """The texts of a form: its call is one, with its gaps."""
    yield "".join(part if isinstance(part, str) else "⟨⟩" for part in form["parts"]), True
    for name in ("button", "hint", "prototype"):
        yield from ((each, name == "prototype") for each in said(form.get(name), phrases))
    for gap in (part for part in form["parts"] if isinstance(part, dict)):
        yield from ((each, False) for each in said(gap["label"], phrases))
        if "words" not in gap:
            yield from ((option, True) for option in gap.get("options", ()))
        for each in chain(gap.get("notes", ()), gap.get("says", ()), gap.get("words", ())):
            yield from ((text, True) for text in said(each, phrases))


def of_event(event, call, phrases):
    """The texts of an event: the sentence that tells it, the call, the question."""
    yield from ((each, False) for each in said([f"says.{event[0]}", *event[1:]], phrases))
    if call:
        yield from ((each, True) for each in said(call[0], phrases))
    if len(call) > 2 and call[2]:
        question, options, *_ = call[2]
        yield from ((each, False) for each in said(question, phrases))
        if "log" not in str(question):  # of the kernel's log: its own words are to be chosen from
            yield from ((each, True) for option in options for each in said(option, phrases))


def texts(bench):
    """All that a lab can be seen to say, and whether each may be C."""
    phrases = bench.phrases
    for name, phrase in phrases.items():
        if not name.startswith(("log.", "buddyinfo")):  # lines of the trace, and of a file in /proc
            yield phrase, name.startswith("call.") or name.endswith(".prototype")
    scene = bench.scene
    yield from of_scene(scene, scene, phrases)
    for event, patch, *call in bench.frames:
        scene = apply(scene, patch)
        yield from of_scene(scene, patch.keys() & scene.keys(), phrases)
        yield from of_event(event, call, phrases)


if __name__ == "__main__":
    found = {name: texts(lab()) for name, lab in LABS.items()}
    print(json.dumps({name: sorted({text for text, c in all_ if forgotten(text, c)}) for name, all_ in found.items()}))
