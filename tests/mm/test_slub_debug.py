"""slub_debug: what is written where, and that the report is the kernel's."""

import gzip
import json
import re
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, KernelBug, Machine
from kmm_sim.mm import slub_debug
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.observe import slab_replay, slab_snapshot, validate_slab

FZPU = SlabFlags.CONSISTENCY_CHECKS | SlabFlags.RED_ZONE | SlabFlags.POISON | SlabFlags.STORE_USER
DATA = Path(__file__).parents[1] / "data" / "linux-6.12.117-slub-dmesg.json.gz"
RECORDED = json.loads(gzip.decompress(DATA.read_bytes()))


def debugged():
    """As the recorder began: a cache with all checks, and two objects of it."""
    machine = Machine(memory="5 GiB")
    cache = machine.kmem_cache_create("mmt-dbg", 64, flags=FZPU)
    return machine, cache, machine.kmem_cache_alloc(cache, GFP_KERNEL), machine.kmem_cache_alloc(cache, GFP_KERNEL)


def double_free(m, cache, p):
    m.kmem_cache_free(cache, p)
    m.kmem_cache_free(cache, p)


def redzone(m, cache, p):
    m.write(p + 64, b"\x42")
    m.kmem_cache_free(cache, p)


def leftredzone(m, cache, p):
    m.write(p - 1, b"\x42")
    m.kmem_cache_free(cache, p)


def uaf(m, cache, p):
    m.kmem_cache_free(cache, p)
    m.write(p + 8, b"AB")
    m.kmem_cache_alloc(cache, GFP_KERNEL)


def badptr(m, cache, p):
    m.kmem_cache_free(cache, p + 8)


def leak(m, cache, p):
    m.kmem_cache_destroy(cache)


def wrongcache(m, cache, p):
    other = m.kmem_cache_create("mmt-other", 64, flags=SlabFlags.CONSISTENCY_CHECKS)
    m.kmem_cache_free(other, p)


MISTAKES = (double_free, redzone, leftredzone, uaf, badptr, leak, wrongcache)
MARKED = "FIX mmt-dbg: Marking all objects used"
SENTENCES = {
    double_free: "double free", redzone: "Right Redzone overwritten: byte 64", leak: "still has 2 objects",
    leftredzone: "Left Redzone overwritten: byte -1", badptr: "8 bytes inside object 0", wrongcache: "Wrong slab cache",
    uaf: "use after free, found now that the object is handed out again: Poison overwritten: byte 8",
}  # fmt: skip


def comparable(lines):
    """Leave out what no two machines have in common: addresses of pages, call sites, the taint, the page's CPU."""
    text = "\n".join(lines)
    pages = sorted(set(re.findall(r"ffff888[0-9a-f]{6}", text)))
    for page in pages:
        text = text.replace(page, "<page>")
    text = re.sub(r"Slab 0x[0-9a-f]+", "Slab <page>", text)
    text = re.sub(r"flags=0x[0-9a-f]+\((\w+)\|.*\)", r"flags=\1", text)
    text = re.sub(r"(Allocated|Freed) in \S+( \[\w+\])? age=\d+ cpu=0 pid=\d+", r"\1", text)
    text = re.sub(r"\((Not t|T)ainted.*?\)", "()", text)
    return re.sub(r"when called.*", "when called", text).splitlines()


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_the_report_is_the_kernels_and_the_machine_survives(mistake):
    machine, cache, p, _ = debugged()
    with pytest.raises(KernelBug, match=SENTENCES[mistake]):
        mistake(machine, cache, p)
    ours, theirs = comparable(machine.dmesg), comparable(RECORDED[mistake.__name__])
    assert ours == [line for line in theirs if line != MARKED]  # a teacher does not give the slab up
    validate_slab(machine)
    machine.kmem_cache_free(cache, machine.kmem_cache_alloc(cache, GFP_KERNEL))


def test_an_object_in_use_and_a_free_one_look_as_they_should():
    machine, cache, p, _ = debugged()
    assert machine.read(p - 8, 8) == machine.read(p + 64, 8) == b"\xcc" * 8
    assert machine.read(p, 64) == b"\x6b" * 63 + b"\xa5"
    machine.kmem_cache_free(cache, p)
    assert machine.read(p - 8, 8) == machine.read(p + 64, 8) == b"\xbb" * 8
    assert machine.read(p, 64) == b"\x6b" * 63 + b"\xa5"


def test_the_free_pointer_is_a_real_pointer():
    machine, cache, p, q = debugged()
    machine.kmem_cache_free(cache, p)
    machine.kmem_cache_free(cache, q)
    assert int.from_bytes(machine.read(q + cache.offset, 8), "little") == p


def test_a_report_names_who_allocated_and_who_freed():
    machine, cache, p, _ = debugged()

    def careless():
        machine.kmem_cache_free(cache, p)

    careless()
    with pytest.raises(KernelBug, match="double free"):
        careless()
    told = "\n".join(machine.dmesg)
    assert "Allocated in debugged age=" in told
    assert "Freed in careless age=" in told


def test_all_caches_are_checked_with_the_boot_parameter():
    machine = Machine(pages=64, slab_debug="FZPU")
    p = machine.kmalloc(60, GFP_KERNEL)
    assert machine.read(p + 60, 12) == b"\xcc" * 12
    machine.write(p + 60, b"!")
    with pytest.raises(KernelBug, match="kmalloc Redzone overwritten: byte 60"):
        machine.kfree(p)
    machine.kfree(p)
    validate_slab(machine)


@pytest.mark.parametrize("slab", ["slub", "sheaves"])
def test_who_asked_how_large_an_object_is_may_use_all_of_it(slab):
    machine = Machine(pages=64, slab_debug="FZPU", slab=slab)
    p = machine.kmalloc(60, GFP_KERNEL)
    assert machine.ksize(p) == 64
    machine.write(p + 60, b"1234")
    machine.kfree(p)
    p = machine.krealloc(machine.kmalloc(33, GFP_KERNEL), 50, GFP_KERNEL)
    machine.write(p + 33, b"x" * 17)
    machine.kfree(p)
    p = machine.kmalloc(60, GFP_KERNEL)
    machine.ksize(p)
    machine.write(p + 64, b"!")
    with pytest.raises(KernelBug, match="Right Redzone overwritten: byte 64"):
        machine.kfree(p)
    assert not any("kmalloc Redzone" in line for line in machine.dmesg)


PAD = {
    "handed out": lambda m, cache, p: m.kmem_cache_alloc(cache, GFP_KERNEL),
    "freed": lambda m, cache, p: m.kmem_cache_free(cache, p),
}


@pytest.mark.parametrize("when", PAD)
def test_the_bytes_behind_the_last_object_are_looked_at(when):
    machine = Machine(pages=64)
    cache = machine.kmem_cache_create("padded", 700, flags=FZPU)
    p = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    end = (p & -4096) + (4096 << cache.oo[0])
    assert machine.read(end - 1, 1) == b"\x5a"
    for write in (b"!", b"?"):
        machine.write(end - 8, write)
        with pytest.raises(KernelBug, match=f"found now that an object of the slab is {when}: Padding overwritten"):
            PAD[when](machine, cache, p)
        assert machine.read(end - 8, 1) == b"\x5a"
        validate_slab(machine)
    assert f"BUG padded (Not tainted): Padding overwritten. 0x{end - 8:016x}-0x{end - 8:016x}" in machine.dmesg[1]
    assert machine.dmesg[-1] == f"FIX padded: Restoring slab padding 0x{end - 8:016x}-0x{end - 8:016x}=0x5a"
    PAD[when](machine, cache, p)


def test_the_bytes_behind_the_last_object_are_looked_at_when_the_slab_goes():
    machine = Machine(pages=64)
    cache = machine.kmem_cache_create("padded", 700, flags=FZPU)
    p = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    machine.kmem_cache_free(cache, p)
    machine.write((p & -4096) + (4096 << cache.oo[0]) - 8, b"!")
    machine.kmem_cache_destroy(cache)
    assert "Padding overwritten" in machine.dmesg[1]


def test_without_checks_a_write_after_free_goes_unseen():
    machine = Machine(pages=64)
    p = machine.kmalloc(64, GFP_KERNEL)
    machine.kfree(p)
    machine.write(p, b"nobody notices")
    assert machine.kmalloc(64, GFP_KERNEL) == p
    assert machine.read(p, 14) == b"nobody notices"
    assert not machine.dmesg


@pytest.mark.parametrize("letters", ["F", "Z", "P", "U", "FZ", "FP", "ZPU", "FZPU"])
def test_any_letters_alone_or_together_let_good_callers_be(letters):
    machine = Machine(pages=512, slab_debug=letters)
    cache = machine.kmem_cache_create("odd", 50)
    held = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(200)]
    held += [machine.kmalloc(size, GFP_KERNEL) for size in (1, 7, 33, 96, 700, 4000) * 5]
    for number, p in enumerate(held):
        machine.write(p, bytes((number,)))
    for p in held[::2] + held[1::2]:
        machine.kfree(p)
    validate_slab(machine)
    machine.kmem_cache_destroy(cache)
    assert not machine.dmesg


@pytest.mark.parametrize("mistake", [double_free, redzone, leftredzone, uaf, wrongcache], ids=lambda one: one.__name__)
def test_without_teaching_the_kernel_reports_and_goes_on(mistake):
    machine = Machine(memory="5 GiB", teaching=False)
    cache = machine.kmem_cache_create("mmt-dbg", 64, flags=FZPU)
    p = machine.kmem_cache_alloc(cache, GFP_KERNEL)
    machine.kmem_cache_alloc(cache, GFP_KERNEL)
    before = slab_snapshot(machine)
    since = len(machine.trace)
    mistake(machine, cache, p)
    assert comparable(machine.dmesg) == comparable(RECORDED[mistake.__name__])
    validate_slab(machine)
    assert slab_replay(before, machine.trace[since:]) == slab_snapshot(machine)


def test_without_checks_and_teaching_a_hardened_freelist_sees_the_second_free_in_a_row():
    machine = Machine(pages=64, teaching=False, slab_hardened=1)
    a, b = machine.kmalloc(64, GFP_KERNEL), machine.kmalloc(64, GFP_KERNEL)
    machine.kfree(a)
    machine.kfree(a)
    assert machine.dmesg == ["kernel BUG at mm/slub.c:550!"]
    machine.kfree(b)
    machine.kfree(a)
    assert [machine.kmalloc(64, GFP_KERNEL) for _ in range(3)] == [a, b, a], "one object has two owners"
    assert len(machine.dmesg) == 1


def word(machine, ptr):
    return int.from_bytes(machine.read(ptr, 8), "little")


def test_a_free_object_points_to_the_next_one():
    machine = Machine(pages=64)
    cache = machine.kmem_cache_create("example", 64, flags=SlabFlags.NO_MERGE)
    a, b = (machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(2))
    machine.kmem_cache_free(cache, b)
    machine.kmem_cache_free(cache, a)
    assert word(machine, a + cache.offset) == slub_debug.get_freepointer(cache, a) == b


def test_a_hardened_cache_scrambles_its_free_pointers_and_only_the_secret_reads_them():
    machine = Machine(pages=64, slab_hardened=1)
    cache = machine.kmem_cache_create("example", 64, flags=SlabFlags.NO_MERGE)
    a, b = (machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(2))
    machine.kmem_cache_free(cache, b)
    machine.kmem_cache_free(cache, a)
    place = a + cache.offset
    stored = word(machine, place)
    assert stored != b
    assert slub_debug.get_freepointer(cache, a) == b
    swapped = int.from_bytes(place.to_bytes(8, "little"), "big")
    assert stored == b ^ cache.random ^ swapped
    other = machine.kmem_cache_create("other", 64, flags=SlabFlags.NO_MERGE)
    assert other.random != cache.random


def test_hardening_changes_no_address():
    got = []
    for hardened in (None, 7):
        machine = Machine(pages=64, slab_hardened=hardened)
        a, b = machine.kmalloc(64, GFP_KERNEL), machine.kmalloc(64, GFP_KERNEL)
        machine.kfree(a)
        got.append((a, b, machine.kmalloc(64, GFP_KERNEL)))
    assert got[0] == got[1]
