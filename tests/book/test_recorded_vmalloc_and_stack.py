"""What the chapters on vmalloc() and the stack show of a real kernel was recorded so."""

import gzip
import json
import re
from pathlib import Path

import pytest

from kmm_sim.mm.stack import STACK_END_MAGIC
from kmm_sim.mm.vmap_area import VMALLOC_START
from kmm_sim.recording import read

ROOT = Path(__file__).parents[2]
SHOWN = ROOT / "book/recorded"
DATA = ROOT / "tests/data"
FILES = json.loads(gzip.decompress((DATA / "linux-6.12.117-proc-256M.json.gz").read_bytes()))["files"]


def shown(name):
    return (SHOWN / f"{name}-6.12.117.txt").read_text(encoding="utf-8").splitlines()


def in_order(lines, recorded):
    """Whether the lines stand among the recorded ones, in this order."""
    rest = iter(recorded)
    return all(line in rest for line in lines)


def records(name):
    return list(read(DATA / f"linux-6.12.117-vmalloc-{name}.jsonl.gz").records)


@pytest.mark.parametrize(("name", "file"), [("vmalloc-areas", "/proc/vmallocinfo"),
                                            ("vmalloc-meminfo", "/proc/meminfo")])
def test_lines_of_proc(name, file):
    assert in_order(shown(name), FILES[file].splitlines())


@pytest.mark.parametrize(("name", "log"), [("vmalloc-guard", "vmalloc_guard"), ("stack-recursion", "stack_overflow")])
def test_lines_of_the_log(name, log):
    text = (DATA / f"linux-6.12.117-vmalloc-dmesg-{log}.txt").read_text(encoding="utf-8")
    recorded = [re.sub(r"^\[ *\d+\.\d+\] ", "", line) for line in text.splitlines()]
    assert in_order([line for line in shown(name) if not line.startswith("[")], recorded)


def test_the_recursion_is_as_deep_as_the_chapter_says():
    text = (DATA / "linux-6.12.117-vmalloc-dmesg-stack_overflow.txt").read_text(encoding="utf-8")
    calls = text.partition("Call Trace:")[2].partition("</TASK>")[0].count(" recurse+")
    more = next(int(line.split()[0][1:]) for line in shown("stack-recursion") if line.endswith("more of these]"))
    assert (calls, calls - more) == (30, sum(line.startswith(" recurse+") for line in shown("stack-recursion")))


def test_calls_of_vmalloc_and_what_waits():
    """Each line of the text is a record, and they come in this order."""
    told = []
    for record in records("lazy"):
        match record:
            case ["vmalloc", size, addr, _, _, pfns]:
                told += [f"vmalloc({size}) = {VMALLOC_START + addr:x}", *map(str, pfns)]
            case ["vfree", addr, _]:
                told.append(f"vfree({VMALLOC_START + addr:x})")
            case ["vf", _, waiting, limit]:
                told.append(f"    waiting: {waiting} pages of addresses, limit {limit}")
            case ["vp", areas]:
                told.append(f"    purge: {areas} areas")
    lines = []
    for line in shown("vmalloc-lazy"):
        pages = re.fullmatch(r" +(?:pages )?((?:\d+ ?)+)", line)
        lines += pages.group(1).split() if pages else [] if line == "[...]" else [line]
    assert in_order(lines, told)


def test_where_stacks_lie():
    told = [f"stack {VMALLOC_START + each['base']:x}  area {each['area_size']} bytes  pages "
            f"{' '.join(map(str, each['pfns']))}  end {each['end_magic']}"
            for each in records("stacks") if isinstance(each, dict) and each.get("k") == "stack"]
    assert in_order(shown("stack-areas"), told)
    assert all(line.endswith(f"end {STACK_END_MAGIC:x}") for line in shown("stack-areas"))
    assert len(told) == 24
