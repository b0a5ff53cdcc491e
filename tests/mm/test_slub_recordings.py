"""SLUB does what a real kernel did: every object, every slab's page, every list, every layout."""

import gzip
import json
from pathlib import Path

import pytest

from kmm_sim import GFP_NOWAIT, Machine
from kmm_sim.__main__ import main
from kmm_sim.mm import slub
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.observe import dump, slab_replay, slab_snapshot, validate_slab
from kmm_sim.recording import Result, check, read
from kmm_sim.recording.slabs import _SlabReplay
from kmm_sim.recording.tables_slab import conf

DATA = Path(__file__).parents[1] / "data"
RECORDINGS = sorted(DATA.glob("linux-6.12.117-slub-*.jsonl.gz"))
CALLS = [path for path in RECORDINGS if read(path).kind in ("slub", "kmallocseq", "smp")]
SCRIPT = DATA / "linux-6.12.117-slub-script_seq_256.jsonl.gz"


def named(path):
    return path.name.partition(".json")[0].rpartition("slub-")[2]


def rewrite(source, target, change):
    with gzip.open(source, "rt") as lines, gzip.open(target, "wt") as out:
        for line in lines:
            out.write(json.dumps(change(json.loads(line))) + "\n")
    return target


def test_there_are_recordings_of_every_kind():
    assert {read(path).kind for path in RECORDINGS} == {"slub", "kmallocseq", "smp", "kcache", "caches", "kmalloc"}


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_everything_in_it_is_the_kernels(path):
    for result in check(path):
        assert result.exact, result
        assert sum(tally.total for tally in result.tallies.values()) > 100


@pytest.mark.parametrize("path", CALLS, ids=named)
def test_a_recording_of_calls_has_objects_dumps_and_pages(path):
    (result,) = check(path)
    assert result.tallies["requests"].total >= 400
    assert result.tallies["dumps"].total >= 7
    assert result.tallies["slab pages"].total >= 1


def two_pages_run_dry(tmp_path, last):
    """A recording of a machine of two pages whose last request finds no memory; ``last`` is what it says of that."""
    machine = Machine(pages=2)
    start = dump(machine)
    cache = machine.kmem_cache_create("small", 2048, flags=SlabFlags.NO_MERGE)
    records = [start, {"k": "cache", "conf": conf(cache)}]
    while ptr := machine.kmem_cache_alloc(cache, GFP_NOWAIT):
        slab = machine.slabs.pages.around(ptr)
        counters = [cache.this_cpu.slab.pfn, 0, 0, cache.node.nr_slabs]
        records.append(["a", slab.pfn, (ptr - slab.base) // cache.size, *counters])
    records.append(["a", *last, -1, 0, 0, cache.node.nr_slabs])
    path = tmp_path / "x.jsonl"
    lines = [{"format": "mmoracle-1", "kind": "slub"}, *records]
    path.write_text("\n".join(map(json.dumps, lines)))
    return check(path)


def test_a_request_that_found_nothing_in_both_is_the_same(tmp_path):
    (result,) = two_pages_run_dry(tmp_path, (-1, -1))
    assert result.exact, result
    assert result.tallies["requests"].total == 5
    (result,) = two_pages_run_dry(tmp_path, (0, 1))
    assert "object ('small', 0, 1) in the kernel, ('', -1, -1) here" in result.first_difference


def test_an_object_where_the_kernel_had_none_is_found(tmp_path):
    def change(record):
        return ["a", -1, -1, *record[3:]] if isinstance(record, list) and record[:3] == ["a", 1055464, 1] else record

    (result,) = check(rewrite(SCRIPT, tmp_path / "x.jsonl.gz", change))
    assert "nothing in the kernel, 0x" in result.first_difference


def test_an_object_that_is_not_the_kernels_is_found(tmp_path):
    seen = []

    def change(record):
        if isinstance(record, list) and record[:3] == ["a", 1055464, 1] and not seen:
            seen.append(record)
            return [*record[:2], 9, *record[3:]]
        return record

    (result,) = check(rewrite(SCRIPT, tmp_path / "x.jsonl.gz", change))
    assert result.tallies["requests"].total - result.tallies["requests"].same == 1
    assert "object ('mmt-script_seq-256', 1055464, 9) in the kernel" in result.first_difference


def test_a_list_in_another_order_is_found(tmp_path):
    def change(record):
        if isinstance(record, dict) and record.get("tag") == "one-each":
            record["cpu_partial"].reverse()
        return record

    (result,) = check(rewrite(SCRIPT, tmp_path / "x.jsonl.gz", change))
    assert "dump one-each" in result.first_difference
    assert "cpu_partial" in result.first_difference


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("put_cpu_partial", lambda s, c, slab, drain: slub.add_partial(s, slab, tail=True)),
        ("put_partials", lambda s, slabs: [slub.add_partial(s, slab, tail=True) for slab in slabs]),
    ],
)
def test_each_rule_is_needed(rule, broken, monkeypatch):
    monkeypatch.setattr(slub, rule, broken)
    (result,) = check(DATA / "linux-6.12.117-slub-churn_rand_700.jsonl.gz")
    assert not result.exact


@pytest.mark.parametrize("path", [path for path in CALLS if read(path).kind == "slub"], ids=named)
def test_the_trace_of_a_recording_rebuilds_every_list(path):
    records = read(path).records
    replay = None
    for record in records:
        if isinstance(record, dict) and record["k"] == "dump":
            replay = _SlabReplay(Result("x", "slub"), Machine.from_dump(record))
            before = slab_snapshot(replay.machine)
            replay.note(records[0])
        elif replay is not None:
            replay.note(record) if isinstance(record, dict) else replay.step(list(record))
    validate_slab(replay.machine)
    assert slab_replay(before, replay.machine.trace) == slab_snapshot(replay.machine)


def test_the_command_replays_them(capsys):
    assert main(["replay", str(SCRIPT), str(DATA / "linux-6.12.117-slub-kcache_cpus8.jsonl.gz")]) == 0
    assert "first difference: none" in capsys.readouterr().out
