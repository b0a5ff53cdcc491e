"""The texts of /proc and /sys are printed as the kernel prints them; and the replay can tell when they are not."""

import gzip
import importlib
import json
from pathlib import Path

import pytest

from kmm_sim.mm import slab_common, slub_def
from kmm_sim.observe import procfs
from kmm_sim.recording import RecordingError, check, proc

slabinfo, vmallocinfo = (importlib.import_module(f"kmm_sim.observe.{name}") for name in ("slabinfo", "vmallocinfo"))

DATA = Path(__file__).parent / "data"
PLAIN, MERGED = DATA / "linux-6.12.117-proc-256M.json.gz", DATA / "linux-6.12.117-slub-proc_merge.json.gz"


def rewrite(source, target, change):
    recorded = json.loads(gzip.decompress(source.read_bytes()))
    change(recorded)
    target.write_text(json.dumps(recorded))
    return target


@pytest.mark.parametrize("path", [PLAIN, MERGED], ids=["256M", "merge"])
def test_every_line_is_the_kernels(path):
    (result,) = check(path)
    assert result.exact, result
    least = {"sysfs files": 2000, "slabinfo lines": 188, "buddyinfo lines": 2, "pagetypeinfo lines": 17,
             "zoneinfo lines": 160, "meminfo lines": 52, "meminfo values": 9, "vmallocinfo lines": 79}  # fmt: skip
    assert all(result.tallies[what].total >= count for what, count in least.items())
    if path == MERGED:
        assert result.tallies["merged caches"].total == 124


def test_what_is_not_compared_is_named():
    (result,) = check(PLAIN)
    named = "\n".join(result.left_out)
    for name in ("/proc/version", "/proc/vmstat", "/proc/iomem", "/proc/zoneinfo: the values", "/proc/slabinfo: how"):
        assert name in named
    assert "15 not compared" in str(result)


TEXTS = {
    "/proc/buddyinfo": ("zone      DMA ", "zone     DMA  ", "buddyinfo lines"),
    "/proc/pagetypeinfo": ("Pages per block:  512", "Pages per block:  1024", "pagetypeinfo lines"),
    "/proc/zoneinfo": ("        cma      0", "        cma      7", "zoneinfo lines"),
    "/proc/meminfo": ("Hugepagesize:       2048", "Hugepagesize:       4096", "meminfo values"),
    "/proc/vmallocinfo": (" vmap\n", " vmapped\n", None),
    "/proc/slabinfo": (" : tunables    0", " : tunables    1", "slabinfo lines"),
}


@pytest.mark.parametrize("file", TEXTS)
def test_a_line_that_is_not_the_kernels_is_found(file, tmp_path):
    here, there, tally = TEXTS[file]

    def change(recorded):
        assert here in recorded["files"][file]
        recorded["files"][file] = recorded["files"][file].replace(here, there, 1)

    path = rewrite(PLAIN, tmp_path / "x.json", change)
    if tally is None:
        with pytest.raises(RecordingError, match="unknown line in /proc/vmallocinfo"):
            check(path)
        return
    (result,) = check(path)
    assert result.tallies[tally].total - result.tallies[tally].same == 1


BROKEN = {
    "merging by size alone": (slab_common, "SLAB_MERGE_SAME", 0, "merged caches"),
    "merging nothing": (slab_common, "find_mergeable", lambda *_: None, "merged caches"),
    "a kilobyte is a page": (procfs, "PAGE_SHIFT", 10, "meminfo values"),
    "no word for vmap": (vmallocinfo, "KINDS", vmallocinfo.KINDS[:2], "vmallocinfo lines"),
    "another least number": (slub_def, "MIN_PARTIAL", 6, "sysfs files"),
    "another head": (slabinfo, "HEADER", "slabinfo\n\n", "slabinfo lines"),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_is_needed(rule, monkeypatch):
    module, name, value, tally = BROKEN[rule]
    monkeypatch.setattr(module, name, value)
    (result,) = check(MERGED)
    assert result.tallies[tally].same < result.tallies[tally].total


def test_the_number_of_cpus_is_read_from_the_recording(monkeypatch):
    seen = []
    monkeypatch.setattr(proc, "compare_slabs", lambda result, recording, cpus: seen.append(cpus))
    monkeypatch.setattr(proc, "compare_merging", lambda result, recording, cpus: seen.append(cpus))
    check(PLAIN)
    assert seen == [1, 1]
