"""vmalloc hands out the addresses that a real kernel handed out; and the replay can tell when it does not."""

import gzip
import json
from pathlib import Path

import pytest

from kmm_sim.mm import stack, vmalloc, vmap_area, vmap_node
from kmm_sim.recording import RecordingError, check

DATA = Path(__file__).parents[1] / "data"
LAZY, POOLS, STACKS = (DATA / f"linux-6.12.117-vmalloc-{name}.jsonl.gz" for name in ("lazy", "pools", "stacks"))
each_recording = pytest.mark.parametrize("path", [LAZY, POOLS], ids=["lazy", "pools"])


def rewrite(source, target, change):
    with gzip.open(source, "rt") as lines, gzip.open(target, "wt") as out:
        for line in lines:
            out.write(json.dumps(change(json.loads(line))) + "\n")
    return target


@each_recording
def test_every_address_purge_pool_and_tree_is_the_kernels(path):
    (result,) = check(path)
    assert result.exact, result
    assert {name: tally.total for name, tally in result.tallies.items()}.items() >= {
        "requests for addresses": 325, "addresses": 325, "areas": 325, "pages taken": 266, "pages given back": 325,
        "frees": 325, "dumps": 4, "trees": 4}.items()
    assert result.left_out == ["which page frames the areas got: the page allocator was not recorded"]


def test_plain_first_fit_is_not_what_linux_does(monkeypatch):
    def first_fit(root, size, align, vstart, adjust):
        fitting = (va for va in root if vmap_area.is_within_this_va(va, size, align, vstart))
        return next(fitting, None)

    monkeypatch.setattr(vmap_area, "find_vmap_lowest_match", first_fit)
    (result,) = check(POOLS)
    assert result.tallies["addresses"].same < 325


@pytest.mark.parametrize(
    ("what", "broken", "tally"),
    [
        ("free_pages", lambda node, page, order: None, "pages given back"),
        ("vm_area_alloc_pages", lambda node, gfp, nr_pages: [], "pages taken"),
        ("IOREMAP_MAX_ORDER", 12, "requests for addresses"),
        ("drain_vmap_area_work", lambda space: space.nodes[0].lazy.clear(), "purges"),
    ],
)
def test_what_vmalloc_itself_does_is_compared(what, broken, tally, monkeypatch):
    monkeypatch.setattr(vmalloc, what, broken)
    (result,) = check(LAZY)
    assert result.tallies[tally].same < result.tallies[tally].total


def test_the_pools_are_needed(monkeypatch):
    monkeypatch.setattr(vmap_node, "node_alloc", lambda *_: (None, None))
    (result,) = check(POOLS)
    assert not result.exact
    assert result.tallies["pools"].same < result.tallies["pools"].total


def test_an_address_that_is_not_the_kernels_is_found(tmp_path):
    def change(record):
        return ["va", 4096, *record[2:]] if isinstance(record, list) and record[:2] == ["va", 6082560] else record

    (result,) = check(rewrite(LAZY, tmp_path / "x.jsonl.gz", change))
    assert not result.exact
    assert "record 2 (vmalloc 36864 6082560): 4096 in the kernel, 6082560 here" in result.first_difference


def test_a_call_before_the_first_dump_gets_a_sentence(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    with gzip.open(path, "wt") as out:
        out.write('{"format": "mmoracle-1", "kind": "vmalloc"}\n["va", 0, 8192, 1, 1, 1, 0]\n')
    with pytest.raises(RecordingError, match="before the first dump"):
        check(path)


def test_thread_stacks_are_asked_for_kept_and_used_again_as_the_kernel_does():
    (result,) = check(STACKS)
    assert result.exact, result
    assert [result.tallies[what].total for what in ("stacks", "stacks gone", "waiting pages", "stacks used again")] == [
        24, 22, 21, 1]


def test_that_a_cpu_keeps_two_stacks_is_needed(monkeypatch):
    monkeypatch.setattr(stack, "NR_CACHED_STACKS", 3)
    (result,) = check(STACKS)
    assert result.tallies["stacks gone"].same == 21
