"""What the chapters on slabs show as recorded was recorded, and the simulator agrees with it."""

import gzip
import json
import re
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, KernelBug, Machine
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.observe import slab_snapshot
from kmm_sim.recording import read

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
DEBUG_LOGS = json.loads(gzip.decompress((DATA / "linux-6.12.117-slub-dmesg.json.gz").read_bytes()))
SLABINFO = json.loads(gzip.decompress((DATA / "linux-6.12.117-slub-proc_merge.json.gz").read_bytes()))["files"][
    "/proc/slabinfo"].splitlines()


def shown(name):
    """The lines of a piece that the book shows."""
    return (ROOT / f"book/recorded/{name}-6.12.117.txt").read_text(encoding="utf-8").splitlines()


def logged(name):
    """The lines of a recorded log, without their times."""
    text = (DATA / f"linux-6.12.117-dmesg-{name}.txt").read_text(encoding="utf-8")
    return [re.sub(r"^\[ *[\d.]+\] ?", "", line).rstrip() for line in text.splitlines()]


LOGS = {
    "slub-leak": logged("slub_leak_destroy"),
    "slub-wrong-cache": logged("slub_wrong_cache"),
    "slub-double-free-aba": logged("slub_double_free2"),
    "slub-redzone": DEBUG_LOGS["redzone"],
    "slub-use-after-free": DEBUG_LOGS["uaf"],
}


@pytest.mark.parametrize("piece", LOGS)
def test_the_lines_of_a_report_are_those_of_the_log_in_their_order(piece):
    log = [line.rstrip() for line in LOGS[piece]]
    at = 0
    for line in shown(piece):
        if line != "[...]":
            assert line in log[at:], line
            at = log.index(line, at) + 1
    assert at > 2 or len(log) < 4


def test_the_lines_of_slabinfo_are_those_of_the_file():
    lines = shown("slabinfo")
    assert len(lines) == 8
    assert all(line in [each.rstrip() for each in SLABINFO] for line in lines)


@pytest.mark.parametrize("name", ["task_struct", "inode_cache", "dentry", "mm_struct"])
def test_the_simulator_has_the_sizes_of_the_shown_lines(name):
    (line,) = [line.split() for line in shown("slabinfo") if line.split()[0] == name]
    s = Machine(pages=64).kernel_cache(name)
    assert [s.size, s.oo[1], 1 << s.oo[0]] == [int(number) for number in line[3:6]]


def dumps():
    """The pfns put aside and those with the node, at each dump of the recorded script."""
    for record in read(DATA / "linux-6.12.117-slub-script_seq_256.jsonl.gz").records:
        if isinstance(record, dict) and record["k"] == "sdump":
            yield [slab["pfn"] for slab in record["cpu_partial"]], [slab["pfn"] for slab in record["partial"]]


def pieces():
    """The same, as the book shows it: after so many frees."""
    for paragraph in "\n".join(shown("slub-lists")).split("\n\n"):
        head, aside, node = paragraph.splitlines()
        yield int(head.split()[1]), *([int(pfn) for pfn in line.partition(":")[2].split()] for line in (aside, node))


def test_the_lists_in_the_book_were_recorded():
    recorded = list(dumps())
    shown_lists = list(pieces())
    assert [frees for frees, _aside, _node in shown_lists] == [4, 8]
    assert all((aside, node) in recorded for _frees, aside, node in shown_lists)


def test_the_bench_of_the_chapter_gives_the_recorded_lists():
    """Our slabs begin at page frame 0 and go up, the machine's came from the other end: the nth slab is the nth."""
    machine = Machine(pages=64)
    cache = machine.kmem_cache_create("example", 256)
    objects = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(24 * 16)]
    lists = {frees: (aside, node) for frees, aside, node in pieces()}
    first = max(pfn for aside, node in lists.values() for pfn in (*aside, *node))
    for nth, ptr in enumerate(objects[: 8 * 16 : 16], 1):
        machine.kmem_cache_free(cache, ptr)
        if nth in lists:
            view = slab_snapshot(machine)["example"]
            aside, node = lists[nth]
            assert list(view.cpus[0].partial) == [first - pfn for pfn in aside]
            assert list(view.partial) == [first - pfn for pfn in node]


def without_numbers(line):
    return re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{16}\b|@offset=\d+|\(.*\)|mmt-\w+|example|leaky|\d+", "#", line)


def test_our_report_of_a_byte_too_many_has_the_lines_of_the_recorded_one():
    machine = Machine(pages=16, slab_debug="FZPU", teaching=False)
    cache = machine.kmem_cache_create("example", 64, flags=SlabFlags.NO_MERGE)
    ptr = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    machine.write(ptr + 64, b"\x42")
    machine.kmem_cache_free(cache, ptr)
    ours = [without_numbers(line.rstrip()) for line in machine.dmesg]
    for line in shown("slub-redzone"):
        if line != "[...]" and not line.startswith(("Allocated", "BUG")):
            assert without_numbers(line) in ours, line


def test_our_report_of_a_leak_has_the_lines_of_the_recorded_one():
    machine = Machine(pages=64)
    cache = machine.kmem_cache_create("leaky", 64)
    machine.kmem_cache_alloc(cache, GFP_KERNEL)
    with pytest.raises(KernelBug):
        machine.kmem_cache_destroy(cache)
    ours = " ".join(machine.dmesg)
    assert "Objects remaining on __kmem_cache_shutdown()" in ours
    assert "Slab cache still has objects when called" in ours


def test_the_aba_double_free_gives_the_first_and_the_third_caller_the_same_object():
    """As recorded, where the kernel then died; here as well, if nobody stops it."""
    got = [line.split()[-1] for line in shown("slub-double-free-aba") if line.startswith("alloc")]
    assert got[0] == got[2] != got[1]
    machine = Machine(pages=16, teaching=False)
    cache = machine.kmem_cache_create("example", 64, flags=SlabFlags.NO_MERGE)
    a, b = (machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(2))
    for ptr in (a, b, a):
        machine.kmem_cache_free(cache, ptr)
    ours = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(3)]
    assert ours[0] == ours[2] == a
    assert ours[1] == b
