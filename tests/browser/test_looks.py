"""How the labs look: each as it was when somebody last looked at it and found it good.

The letters are of a font that comes with matplotlib, the same on every machine.  A look is kept small: a cell of it is
the mean of 8 by 8 pixels.  Where a lab is meant to look different now:

    KMM_LOOKS=keep python -m pytest tests/browser/test_looks.py

writes the looks anew, and each lab at its full size into _build/looks: look at those before you commit the small ones.
"""

import base64
import functools
import io
import os
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from kmm_sim import GFP_KERNEL, labs
from kmm_sim.labs.pages import Allocate, Write
from kmm_sim.labs.recorded import FROM_AN_INTERRUPT, ZONE_AFTER_ZONE

KEPT = Path(__file__).parent / "looks"
FULL = Path(__file__).resolve().parents[2] / "_build/looks"
CELL = 8  # pixels
PART = 10  # cells: the side of the parts that are compared
UNLIKE = 28  # of 255: two cells so far apart are different
ENOUGH = 0.03  # of the cells of a part: so many that are different, and a reader may notice
VIEWS = {
    "desktop": {"viewport": {"width": 740, "height": 900}},
    "dark": {"viewport": {"width": 740, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
}
LABS = {
    "buddy": lambda: labs.buddy_lab(script="+0 +2 +0 -1 +1 +1 -0", pages=16, detail=True),
    "choose": labs.choose_lab,
    "gfp": lambda: labs.gfp_lab("clean cache", FROM_AN_INTERRUPT),
    "kmalloc": lambda: labs.kmalloc_lab("+100 +100 +90 -0 +120 +9000"),
    "mem_map": labs.mem_map_lab,
    "pages": lambda: labs.pages_lab(calls=[Allocate(int(GFP_KERNEL), 0), Write("password")]),
    "slab": lambda: labs.slab_lab("+1 +4 +1 -0 -1-4 +1 shrink"),
    "slab_debug": lambda: labs.slab_debug_lab("take write:64 free"),
    "stack": lambda: labs.stack_lab(script="528x14 528 schedule 528x15 528"),
    "three_slabs": lambda: labs.three_slabs_lab("a3 b4 -1 b1 a4 -0 -2", a=600, b=300),
    "vmalloc": lambda: labs.vmalloc_lab(script="alloc:2 +4 touch:A0 all:A direct:A +1 touch:A4 -A"),
    "workload": lambda: labs.workload_lab(seconds=10),
    "zones": lambda: labs.zones_lab(calls=ZONE_AFTER_ZONE),
}


@functools.cache
def same_letters():
    """Style sheet for letters that do not depend on the machine, and a timeline that stands where it does on paper."""
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
    faces = [("sans", "normal", "DejaVuSans"), ("sans", "bold", "DejaVuSans-Bold"),
             ("mono", "normal", "DejaVuSansMono"), ("mono", "bold", "DejaVuSansMono-Bold")]
    return "".join(
        f"@font-face {{ font-family: looks-{family}; font-weight: {weight}; src: url(data:font/ttf;base64,"
        f"{base64.b64encode((fonts / f'{file}.ttf').read_bytes()).decode()}) }}" for family, weight, file in faces
    ) + """.kmm-bench { --sans: looks-sans !important; --mono: looks-mono !important }
           .kmm-timeline { position: static !important }"""


def picture(lab, style=""):
    """The lab at the last event of its run, when nothing moves any more."""
    lab.page.add_style_tag(content=same_letters() + style)
    lab.page.evaluate("() => Promise.all([...document.fonts].map((font) => font.load()))")
    count = lab.at[1]
    if count:
        lab.scrub(count)
    lab.page.wait_for_timeout(400)
    return Image.open(io.BytesIO(lab.find(".kmm-bench").screenshot(animations="disabled"))).convert("RGB")


def look(image):
    """The small form of a picture: an array of cells, each of three colours from 0 to 255."""
    size = max(image.width // CELL, 1), max(image.height // CELL, 1)
    return np.asarray(image.resize(size, Image.Resampling.BOX), dtype=np.int16)


def difference(seen, kept):
    """How different a lab looks where it is most different: the share of unlike cells in the worst part, 0 to 1."""
    if seen.shape != kept.shape:
        return 1.0
    unlike = np.abs(seen - kept).max(axis=2) > UNLIKE
    sums = np.pad(unlike.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    parts = sums[PART:, PART:] - sums[:-PART, PART:] - sums[PART:, :-PART] + sums[:-PART, :-PART]
    return float(parts.max()) / PART**2


def assert_it_looks(lab, name):
    """Compare a lab with what is kept under a name, or keep it."""
    image = picture(lab)
    FULL.mkdir(parents=True, exist_ok=True)
    image.save(FULL / f"{name}.png")
    kept = KEPT / f"{name}.png"
    if os.environ.get("KMM_LOOKS") == "keep":
        KEPT.mkdir(exist_ok=True)
        Image.fromarray(look(image).astype(np.uint8)).save(kept, optimize=True)
        return
    assert kept.is_file(), f"nobody has looked at {name} yet: see the first lines of {Path(__file__).name}"
    found = difference(look(image), look_kept(name))
    assert found < ENOUGH, f"{name} looks different ({found:.1%}): see _build/looks/{name}.png, and {kept}"


def look_kept(name):
    """A look as it is kept."""
    return np.asarray(Image.open(KEPT / f"{name}.png").convert("RGB"), dtype=np.int16)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", LABS)
def test_a_lab_looks_as_it_did(open_lab, name, view):
    assert_it_looks(open_lab(LABS[name](), **VIEWS[view]), f"{name}-{view}")


def test_every_lab_has_a_look():
    assert {f"{name}_lab" for name in LABS} == {name for name in labs.__all__ if name.endswith("_lab")}
    assert {path.stem for path in KEPT.iterdir()} == {f"{name}-{view}" for name in LABS for view in VIEWS}


@pytest.mark.parametrize("style", [
    ".kmm-block { visibility: hidden !important }",
    ".kmm-block { background: #fff !important }",
    ".kmm-bench { filter: hue-rotate(90deg) }",
    ".kmm-chip { display: none !important }",
    ".kmm-log { display: none !important }",
    ".kmm-bench { color-scheme: dark; background: #15181d !important }",
    ".kmm-bench * { position: static !important }",
])
def test_what_a_reader_would_notice_is_another_look(open_lab, style):
    lab = open_lab(LABS["buddy"](), **VIEWS["desktop"])
    assert difference(look(picture(lab, style)), look_kept("buddy-desktop")) > ENOUGH
