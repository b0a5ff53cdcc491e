"""What the chapters on pages, zones and high memory show as recorded was recorded, and the simulator agrees with it."""

import re
from pathlib import Path

import pytest

from kmm_sim import Machine
from kmm_sim.mm.bad_page import dump_page
from kmm_sim.mm.mmzone import Zone, ZoneType
from kmm_sim.mm.page import SIZEOF_STRUCT_PAGE, STRUCT_PAGE_OFFSETS
from kmm_sim.mm.page_flags import PageFlag
from kmm_sim.mm.watermark import setup_per_zone_lowmem_reserve, setup_per_zone_wmarks
from kmm_sim.recording import read

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"


def shown(name: str) -> list[str]:
    """The lines of a piece that the book shows."""
    return (ROOT / f"book/recorded/{name}-6.12.117.txt").read_text(encoding="utf-8").splitlines()


def logged(name: str) -> list[str]:
    """The lines of a recorded log, without their times."""
    text = (DATA / f"linux-6.12.117-dmesg-{name}.txt").read_text(encoding="utf-8")
    return [re.sub(r"^\[ *[\d.]+\] ", "", line) for line in text.splitlines()]


def test_the_fields_of_struct_page_lie_where_the_book_says():
    constants = {record["n"]: record["v"] for record in read(DATA / "linux-6.12.117-consts.jsonl.gz").records
                 if record["k"] == "c"}
    pairs = [line.rsplit(None, 1) for line in shown("struct-page")]
    assert len(pairs) == 13
    assert [(name, constants[name]) for name, _ in pairs] == [(name, int(value)) for name, value in pairs]
    ours = {f"offsetof(struct page, {name})": at for name, at in STRUCT_PAGE_OFFSETS.items()}
    assert all((ours | {"sizeof(struct page)": SIZEOF_STRUCT_PAGE})[name] == int(value) for name, value in pairs)


@pytest.mark.parametrize(("piece", "log"), [
    ("bad-page-locked", "page_free_locked"), ("sleep-atomic", "sleep_atomic_alloc")])
def test_the_reports_in_the_book_are_those_of_the_log(piece, log):
    assert shown(piece)
    assert shown(piece) == logged(log)[:len(shown(piece))]


def test_the_simulator_prints_the_flags_as_the_report_does():
    page = Machine.preset("the recorded VM").node.page(0x101810)
    page.flags |= PageFlag.LOCKED | PageFlag.LRU
    assert dump_page(page)[1] == shown("bad-page-locked")[2]


MARKS = re.compile(r"(\w+) +(\d+) +(\d+) +(\d+) +(\d+)  \((.*)\)")


def marks() -> dict[int, list[tuple[str, list[int]]]]:
    """By min_free_kbytes: each zone's name, then managed, min, low, high and its reserves."""
    found: dict[int, list[tuple[str, list[int]]]] = {}
    for line in filter(None, shown("watermarks")):
        if line.startswith("vm."):
            zones = found[int(line.rpartition("=")[2])] = []
        elif not line.startswith("zone "):
            name, *numbers, reserves = MARKS.fullmatch(line).groups()
            zones.append((name, [int(number) for number in [*numbers, *reserves.split(", ")]]))
    return found


def test_the_marks_in_the_book_were_recorded():
    record = read(DATA / "linux-6.12.117-zones-16G.json.gz").header
    for kbytes, state in ((67584, "default"), (8192, "min_free_kbytes_8192")):
        theirs = [(zone["name"], [zone["managed"], *zone["wm"][:3], *zone["lowmem"][:3]])
                  for zone in record["states"][state]]
        assert marks()[kbytes] == theirs


def test_the_marks_follow_from_the_formula():
    zones = [Zone(n, kind, 0, pages[0], pages[0]) for n, (kind, (_, pages)) in enumerate(zip(
        (ZoneType.DMA, ZoneType.DMA32, ZoneType.NORMAL), marks()[8192], strict=True))]
    setup_per_zone_wmarks(zones, 8192)
    setup_per_zone_lowmem_reserve(zones)
    assert [zone.watermark[:3] for zone in zones] == [numbers[1:4] for _, numbers in marks()[8192]]
    # The reserves date from the boot, which knew of a few pages less; the chapter gives both numbers.
    assert [zones[0].lowmem_reserve[1], marks()[8192][0][1][5]] == [2955, 2946]
    ratios = read(DATA / "linux-6.12.117-zones-16G.json.gz").header["states"]["lowmem_ratio_64_64_16"]
    setup_per_zone_lowmem_reserve(zones, (64, 64, 16, 0))
    assert [zone.lowmem_reserve for zone in zones] == [zone["lowmem"] for zone in ratios]


@pytest.mark.parametrize(("piece", "path"), [("zoneinfo", "/proc/zoneinfo"), ("meminfo-percpu", "/proc/meminfo")])
def test_the_pieces_of_proc_stand_in_the_recorded_text_in_this_order(piece, path):
    text = read(DATA / "linux-6.12.117-proc-256M.json.gz").header["files"][path].splitlines()
    lines = [line for line in shown(piece) if line != "[...]"]
    at = text.index(lines[0])
    for line in lines:
        at = text.index(line, at) + 1
    assert len(lines) >= 3
