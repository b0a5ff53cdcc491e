"""SLUB does what a real kernel did: every object, every slab's page, every list, every layout."""

import gzip
import json
from pathlib import Path

import pytest

from kmm_sim import Machine
from kmm_sim.__main__ import main
from kmm_sim.mm import slub
from kmm_sim.observe import slab_replay, slab_snapshot, validate_slab
from kmm_sim.recording import Result, check, read
from kmm_sim.recording.slabs import _SlabReplay

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
