"""/proc/slabinfo, /sys/kernel/slab, and which caches a real kernel merged."""

import gzip
import json
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.mm.slab_common import SLAB_NEVER_MERGE, SlabFlags, create_cache, kmem_cache_create
from kmm_sim.observe import slabinfo, sysfs_slab
from kmm_sim.observe.slabinfo import create_unique_id
from kmm_sim.recording import check

DATA = Path(__file__).parents[1] / "data"
MERGED = DATA / "linux-6.12.117-slub-proc_merge.json.gz"

# Of what the kernel creates, these alone have bytes that users may copy, and so are on their own
# (kmem_cache_create_usercopy(), KMEM_CACHE_USERCOPY(), struct proto.usersize).
USERCOPY = {
    "mm_struct", "task_struct", "uts_namespace", "names_cache", "dentry", "proc_dir_entry", "skbuff_small_head",
    "RAW", "RAWv6", "fsverity_info",
}  # fmt: skip
BOOT = {"kmem_cache", "kmem_cache_node"}


def test_every_file_in_sysfs_and_every_line_is_the_kernels():
    (result,) = check(MERGED)
    assert result.exact, result
    assert result.tallies["sysfs files"].total > 2000
    assert result.tallies["slabinfo lines"].total == 188


def test_a_line_that_is_not_the_kernels_is_found(tmp_path):
    recorded = json.loads(gzip.decompress(MERGED.read_bytes()))
    text = recorded["files"]["/proc/slabinfo"]
    recorded["files"]["/proc/slabinfo"] = text.replace("    264   15    1", "    264   16    1", 1)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(recorded))
    (result,) = check(path)
    assert "fsverity_info" in result.first_difference


def test_the_kernel_merged_the_caches_that_we_merge():
    """All caches of one kernel that merges none, made in its order, become those of one that merges."""
    recorded = json.loads(gzip.decompress(MERGED.read_bytes()))
    slabs = Machine(pages=64).slabs
    table = gzip.decompress((DATA / "linux-6.12.117-slub-caches_nomerge.jsonl.gz").read_bytes()).decode()
    for record in map(json.loads, table.splitlines()[1:]):
        conf = record["conf"]
        flags = conf["flags"] & ~int(SlabFlags.CMPXCHG_DOUBLE)
        asked = conf["name"], conf["object_size"], conf["align"], flags, print if conf["ctor"] else None
        if conf["name"] in BOOT:
            create_cache(slabs, *asked).refcount = -1
        else:
            usercopy = conf["name"] in USERCOPY or flags & SlabFlags.KMALLOC
            kmem_cache_create(slabs, *asked, usersize=8 if usercopy else 0)
    lines = recorded["files"]["/proc/slabinfo"].splitlines()[2:]
    assert [s.name for s in slabs.caches] == [line.split()[0] for line in lines]
    alone = {s.name for s in slabs.caches if s.usersize or s.ctor or s.flags & SLAB_NEVER_MERGE or s.refcount < 0}
    ids = {name: create_unique_id(s) for s in slabs.caches for name in (s.name, *s.aliases) if s.name not in alone}
    assert ids == recorded["slab_alias_links"]
    assert len(ids) == 124


def test_slabinfo_counts_what_is_there():
    machine = Machine(pages=64)
    cache = machine.kmem_cache_create("inode", 600, flags=SlabFlags.NO_MERGE)
    for _ in range(10):
        machine.kmem_cache_alloc(cache, GFP_KERNEL)
    line = slabinfo(machine).splitlines()[-1]
    assert line == (
        "inode                 13     13    600   13    2 : tunables    0    0    0 : slabdata      1      1      0"
    )
    assert sysfs_slab(machine, "inode")["objects"] == "13 N0=13", "those on the CPU's freelist count as active"
    with pytest.raises(KeyError):
        sysfs_slab(machine, "nobody")


def test_sysfs_counts_slabs_and_objects_wherever_they_are():
    machine = Machine(pages=256, cpus=2)
    flags = SlabFlags.NO_MERGE | SlabFlags.CONSISTENCY_CHECKS
    cache = machine.kmem_cache_create("inode", 1024, flags=flags, usersize=40)
    files = sysfs_slab(machine, "inode")
    assert [files[name] for name in ("objects", "slabs", "cpu_slabs", "slabs_cpu_partial")] == ["0", "0", "0", "0(0)"]
    assert [files[name] for name in ("usersize", "sanity_checks", "red_zone", "poison", "store_user", "cache_dma")] == [
        "40", "1", "0", "0", "0", "0"]
    machine.kmem_cache_destroy(cache)
    cache = machine.kmem_cache_create("inode", 1024, flags=SlabFlags.NO_MERGE)
    held = [machine.kmem_cache_alloc(cache, GFP_KERNEL) for _ in range(4 * 16)]
    for ptr in held[:32:16]:  # one of each of two full slabs: both are put aside
        machine.kmem_cache_free(cache, ptr)
    machine.cpu = 1
    machine.kmem_cache_alloc(cache, GFP_KERNEL)
    files = sysfs_slab(machine, "inode")
    names = ("total_objects", "objects", "slabs", "partial", "objects_partial", "cpu_slabs", "slabs_cpu_partial")
    assert [files[name] for name in names] == [
        "80 N0=80", "80 N0=80", "5 N0=5", "0", "0", "4 N0=4", "16(2) C0=16(2)"]
    machine.kmem_cache_shrink(cache)
    files = sysfs_slab(machine, "inode")
    assert [files[name] for name in names] == [
        "80 N0=80", "63 N0=63", "5 N0=5", "3 N0=3", "31 N0=31", "0", "0(0)"]


def test_slab_has_tunables_and_slob_no_file():
    machine = Machine(pages=64, slab="slab")
    machine.kmem_cache_alloc(machine.kmem_cache_create("inode", 600), GFP_KERNEL)  # the rest of 6 is in an array
    assert slabinfo(machine).splitlines()[-1] == (
        "inode                  6      6    600    6    1 : tunables   54   27    0 : slabdata      1      1      0"
    )
    assert slabinfo(Machine(pages=64, slab="slob")) == ""
