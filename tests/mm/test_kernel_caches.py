"""The caches of the kernel itself, laid out as a real 6.12.117 had them."""

import gzip
import json
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.mm.kernel_caches import KERNEL_CACHES
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.mm.slub_def import calculate_sizes
from kmm_sim.recording.tables_slab import conf

DATA = Path(__file__).parents[1] / "data"
RECORDED = {"caches_nomerge": 1, "caches_cpus2": 2}


def recorded(name):
    """The layout of every cache of a real kernel, by name."""
    with gzip.open(DATA / f"linux-6.12.117-slub-{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return {record["conf"]["name"]: record["conf"] for record in records if record.get("k") == "conf"}


@pytest.mark.parametrize(("recording", "cpus"), RECORDED.items())
@pytest.mark.parametrize("name", KERNEL_CACHES)
def test_a_cache_of_the_kernel_has_the_recorded_layout(recording, cpus, name):
    s = Machine(pages=256, slab_merge=False).kernel_cache(name)
    calculate_sizes(s, cpus)
    assert conf(s) == recorded(recording)[name]


def test_five_process_descriptors_fit_into_a_slab_of_eight_pages():
    s = Machine(pages=256).kernel_cache("task_struct")
    assert (s.size, s.oo) == (6208, (3, 5))


def test_asking_again_gives_the_same_cache():
    machine = Machine(pages=256)
    assert machine.kernel_cache("cred") is machine.kernel_cache("cred")


def test_an_inode_is_constructed_when_its_slab_is_made():
    machine = Machine(pages=256)
    inode = machine.kernel_cache("inode_cache")
    page = machine.alloc_pages(GFP_KERNEL, 2)
    machine.write(machine.page_address(page), b"x" * (4 * 4096))
    machine.free_pages(page, 2)
    ptr = machine.kmem_cache_alloc(inode, GFP_KERNEL)
    assert ptr // 4096 == machine.page_address(page) // 4096
    assert machine.read(ptr, inode.object_size) == bytes(inode.object_size)


@pytest.mark.parametrize("allocator", ["slub", "slab", "slob"])
def test_every_allocator_has_them(allocator):
    machine = Machine(pages=1024, slab=allocator)
    for name in KERNEL_CACHES:
        ptr = machine.kmem_cache_alloc(machine.kernel_cache(name), GFP_KERNEL)
        assert ptr
        machine.kmem_cache_free(machine.kernel_cache(name), ptr)


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="task_struct, inode_cache"):
        Machine(pages=16).kernel_cache("tasks")


def test_inodes_can_be_reclaimed_and_descriptors_not():
    assert KERNEL_CACHES["inode_cache"].flags & SlabFlags.RECLAIM_ACCOUNT
    assert not KERNEL_CACHES["task_struct"].flags & SlabFlags.RECLAIM_ACCOUNT


@pytest.mark.parametrize("allocator", ["slub", "slab", "slob"])
def test_a_cache_shows_itself_in_one_short_line(allocator):
    cache = Machine(pages=64, slab=allocator).kmem_cache_create("example", 200)
    assert repr(cache) == "<struct kmem_cache example object_size:200 size:200>"
