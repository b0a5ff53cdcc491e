"""What the chapter on one's own machine says of its first lab is what the lab shows."""

import re
from pathlib import Path

import pytest

from kmm_sim import Machine
from kmm_sim.observe.curves import sample
from kmm_sim.workload import Workload, everyday

TEXT = (Path(__file__).resolve().parents[2] / "book/on-your-own-machine.md").read_text(encoding="utf-8")
WATCH = " ".join(re.search(r"^## Watch it$(.*?)^## The code$", TEXT, re.MULTILINE | re.DOTALL)[1].split())


def large(workload):
    """How many pages the large program holds."""
    return sum(piece is not None for _, _, tenant, piece in workload._due if tenant.name == "a large program")


def watch(load):
    """What is seen second by second: free memory of no use, memory taken, and what the large program has; in %."""
    machine = Machine(memory="32 MiB", trace=False)
    pages = sum(zone.managed_pages for zone in machine.zones)
    workload, curves = Workload(everyday(machine, load), seed=1), []
    for _ in workload.seconds(machine, 120):
        now = sample(machine)
        shares = now.unusable(4), 1 - now.free_pages / pages, large(workload) / pages
        curves.append(tuple(round(100 * share) for share in shares))
    assert workload.failures == 0
    return dict(enumerate(curves, 1))


@pytest.fixture(scope="module")
def a():
    return watch(0.5)


@pytest.fixture(scope="module")
def b():
    return watch(0.9)


def most(curves, which):
    return max(each[which] for each in curves.values())


def test_the_large_program_is_as_large_as_the_chapter_says(a, b):
    assert f"On machine A it grows to {most(a, 2)} % of the memory, on machine B to {most(b, 2)} %." in WATCH


def test_as_much_is_taken_as_the_chapter_says(a, b):
    assert f"at most {most(a, 1)} % of the memory is taken on A, and {most(b, 1)} % on B." in WATCH
    assert "At the end both machines have more than half of their memory free" in WATCH
    assert max(a[120][1], b[120][1]) < 50


def test_the_curve_rises_falls_and_rises_as_the_chapter_says(a, b):
    lowest = min(range(60, 76), key=lambda second: b[second][0])
    assert f"After half a minute, {b[30][0]} % of the free memory of B is of no use" in WATCH
    assert f"at 60 seconds, and the curve falls to {b[lowest][0]} %" in WATCH
    assert f"after two minutes it is {b[120][0]} %. On A it is {a[120][0]} %." in WATCH
