"""The simulator does what a real kernel did; and the replay can tell when it does not."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kmm_sim import Machine
from kmm_sim.__main__ import main
from kmm_sim.mm import buddy
from kmm_sim.observe import dump, replay, snapshot, validate
from kmm_sim.recording import RecordingError, Result, check, read

DATA = Path(__file__).parent / "data"
CORE = DATA / "linux-6.12.117-pages-kernel_masks_core.jsonl.gz"
PAGES = sorted(DATA.glob("linux-*-pages-*.jsonl.gz"))
each_recording = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name.partition(".json")[0])


def requests(result):
    return result.tallies["requests"]


def rewrite(source, target, change):
    """Copy a recording, each record as ``change`` returns it."""
    with gzip.open(source, "rt") as lines, gzip.open(target, "wt") as out:
        for line in lines:
            out.write(json.dumps(change(json.loads(line))) + "\n")
    return target


OTHERS = [*DATA.glob("linux-*-zones-*.json.gz"), *DATA.glob("linux-*-gfp.*"), *DATA.glob("linux-*-consts.*")]


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name.partition(".json")[0])
def test_every_mark_limit_mask_and_constant_is_the_kernels(path):
    (result,) = check(path)
    assert result.exact, result
    assert sum(tally.total for tally in result.tallies.values()) > 30


def test_a_watermark_that_is_not_the_kernels_is_found(tmp_path):
    state = json.loads(gzip.decompress((DATA / "linux-6.12.117-zones-3zone.json.gz").read_bytes()))
    state["states"]["min_free_kbytes_8192"][1]["wm"][2] += 1
    path = tmp_path / "x.json"
    path.write_text(json.dumps(state))
    (result,) = check(path)
    assert result.first_difference.startswith("min_free_kbytes_8192: zone DMA32, watermarks:")


def test_there_are_recordings():
    assert len(PAGES) >= 4


@each_recording
def test_every_page_frame_event_and_dump_is_the_kernels(path):
    for result in check(path):
        assert result.exact or result.interrupts_on, result
        assert requests(result).total >= 10
        assert result.tallies["dumps"].total >= 2


def test_the_recordings_here_have_something_of_everything():
    counted = [what for path in PAGES for result in check(path) for what in result.tallies]
    assert set(counted) == {"requests", "dumps", "fallbacks", "other events", "counters"}
    assert len({read(path).kind for path in PAGES}) == 4


def test_sections_where_reclaim_could_run_are_apart(capsys):
    path = DATA / "linux-6.12.117-pages-watermark_dma_o4.jsonl.gz"
    apart = [result for result in check(path) if result.interrupts_on]
    assert len(apart) == 2
    assert all("(interrupts on)" in str(result) for result in apart)
    assert main(["replay", str(path)]) == 0
    assert "total of 7: " in capsys.readouterr().out


@pytest.mark.parametrize("path", [path for path in PAGES if read(path).kind == "buddy"], ids=lambda path: path.name)
def test_the_trace_of_a_replayed_recording_rebuilds_the_machine(path):
    records = read(path).records
    machine = Machine.from_dump(next(record for record in records if isinstance(record, dict)))
    before = snapshot(machine)
    for record in records:
        if isinstance(record, list) and record[0] == "A":
            machine.alloc_pages(record[1], record[2])
        elif isinstance(record, list) and record[0] == "F":
            machine.free_pages(machine.node.page(record[1]), record[2])
    validate(machine)
    assert len(machine.trace) > 1000
    assert replay(before, machine.trace) == snapshot(machine)


@each_recording
def test_a_dump_is_read_and_written_alike(path):
    start = next(record for record in read(path).records if isinstance(record, dict) and record["k"] == "dump")
    ours = dump(Machine.from_dump(start))
    for mine, theirs in zip(ours["zones"], start["zones"], strict=True):
        assert {key: theirs[key] for key in mine if key != "blocks"} == {
            key: value for key, value in mine.items() if key != "blocks"
        }
    assert dump(Machine.from_dump(ours)) == ours


def test_a_page_frame_that_is_not_the_kernels_is_found(tmp_path):
    def change(record):
        return [*record[:3], 7] if record == ["A", 1051850, 0, 1054422] else record

    path = rewrite(CORE, tmp_path / "x.jsonl.gz", change)
    (result,) = check(path)
    assert 1 <= requests(result).total - requests(result).same < 10
    assert "request 2 (A 0x100cca 0): the kernel gave pfn 7, we gave pfn 1054422" in result.first_difference


def test_one_block_out_of_order_in_a_dump_is_found(tmp_path):
    def change(record):
        if isinstance(record, dict) and record.get("tag") == "end":
            longest = max((blocks for zone in record["zones"] for blocks in zone["free"]), key=lambda b: len(b[2]))
            longest[2].reverse()
        return record

    (result,) = check(rewrite(CORE, tmp_path / "x.jsonl.gz", change))
    assert result.tallies["dumps"].total - result.tallies["dumps"].same == 1
    assert "dump end" in result.first_difference
    assert "free" in result.first_difference


@pytest.mark.parametrize("rule", ["merge to the head always", "merge to the tail always"])
def test_the_rule_of_head_and_tail_is_needed(rule, monkeypatch):
    monkeypatch.setattr(buddy, "buddy_merge_likely", lambda *_: "tail" in rule)
    (result,) = check(CORE)
    assert not result.exact
    assert requests(result).same < requests(result).total


def test_the_command_prints_a_line_for_each_recording_and_a_total(capsys):
    assert main(["replay", str(CORE), str(DATA / "linux-6.12.117-pages-pcp_dma.jsonl.gz")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("100.00 %" in line and "first difference: none" in line for line in lines)
    assert lines[-1].startswith("total of 2: ")


def test_the_command_fails_on_a_difference(tmp_path, capsys):
    def change(record):
        return [*record[:3], -1] if isinstance(record, list) and record[0] == "A" else record

    path = rewrite(CORE, tmp_path / "x.jsonl.gz", change)
    assert main(["replay", str(path)]) == 1
    assert "the kernel gave nothing, we gave pfn" in capsys.readouterr().out


def test_nearly_all_is_not_all():
    result = Result("almost", "buddy")
    for nth in range(100_000):
        result.count("requests", nth != 7, "one went wrong")
    assert "99.99 %" in str(result)


# Other machines, other recorders


def zone_setup(tmp_path, change):
    """Write the recording of a machine's zones as ``change`` makes it; return its result."""
    header = json.loads(gzip.decompress((DATA / "linux-6.12.117-zones-3zone.json.gz").read_bytes()))
    change(header)
    path = tmp_path / "zones.json"
    path.write_text(json.dumps(header))
    (result,) = check(path)
    return result


def state_of(machine, zones):
    """The zones of a machine as the recorder would have written them."""
    state = []
    for zone, recorded in zip(dump(machine)["zones"], zones, strict=True):
        state.append({**recorded, **{key: zone[key] for key in ("wm", "boost", "lowmem")}})
        state[-1]["pcp"] = {key: value for key, value in (zone.get("pcp0") or zone["pcp"]).items() if key != "lists"}
    return state


def test_a_knob_is_read_from_the_name_of_the_state_whatever_its_value(tmp_path):
    def turn(header):
        machine = Machine.from_dump(recorded_zones(header))
        header["states"] = {"default": header["states"]["default"]}
        for name, knob, value in (
            ("min_free_kbytes_16384", "vm.min_free_kbytes", 16384),
            ("wsf_150", "vm.watermark_scale_factor", 150),
            ("lowmem_ratio_32_64", "vm.lowmem_reserve_ratio", (32, 64, 32, 0)),
            ("pcp_high_fraction_9", "vm.percpu_pagelist_high_fraction", 9),
        ):
            machine.sysctl(knob, value)
            header["states"][name] = state_of(machine, header["states"]["default"])

    result = zone_setup(tmp_path, turn)
    assert result.exact, result
    assert result.tallies["watermarks"].total == 4 * 3
    assert result.left_out == []


def recorded_zones(header):
    zones = header["states"]["default"]
    pcps = [{**zone["pcp"], "lists": {}} for zone in zones]
    return {"zones": [zone | {"free": [], "pcp": pcp} for zone, pcp in zip(zones, pcps, strict=True)]}


def test_a_knob_that_the_simulator_has_not_is_left_out_by_name(tmp_path):
    def turn(header):
        header["states"] |= {"hugepages_3": header["states"]["default"], "min_free_kbytes": header["states"]["default"]}
        del header["sysctl"], header["zonelists"]

    result = zone_setup(tmp_path, turn)
    assert result.left_out == ["hugepages_3", "min_free_kbytes"]
    assert result.exact
    assert str(result).endswith("2 not compared (hugepages_3, min_free_kbytes); first difference: none")


def test_zones_without_a_page_and_banks_without_memory_are_no_difference(tmp_path):
    def turn(header):
        for state in header["states"].values():
            state.insert(0, state[0] | {"node": 1, "managed": 0, "spanned": 0})
        header["zonelists"].append({"k": "zonelist", "node": 1, "order": []})

    assert zone_setup(tmp_path, turn).exact


def test_the_zones_of_two_banks_are_compared_each_with_its_own(tmp_path):
    def turn(header):
        """Bank 1 has a zone Normal and a zone Movable, told between those of bank 0."""
        zones = header["states"]["default"]
        for zone, kind, name in ((zones[2], 2, "Normal"), (zones[2], 3, "Movable")):
            zones.append({**zone, "node": 1, "idx": kind, "name": name, "start": zone["start"] + (kind << 20)})
        zones.sort(key=lambda zone: zone["idx"])
        machine = Machine.from_dump(recorded_zones(header))
        machine.sysctl("vm.min_free_kbytes", 9000)
        order = sorted(zones, key=lambda zone: (zone["node"], zone["idx"]))
        turned = state_of(machine, order)
        header["states"] = {"default": zones, "min_free_kbytes_9000": turned[::-1]}
        own, other = [[0, "Normal"], [0, "DMA32"], [0, "DMA"]], [[1, "Movable"], [1, "Normal"]]
        header["zonelists"] = [
            {"k": "zonelist", "node": 0, "order": own + other}, {"k": "zonelist", "node": 1, "order": other + own}
        ]

    result = zone_setup(tmp_path, turn)
    assert result.exact, result
    assert result.tallies["zonelists"].total == 2
    assert result.tallies["watermarks"].total == 5


def test_a_dump_may_tell_its_zones_in_any_order(tmp_path):
    def change(record):
        if isinstance(record, dict) and record.get("k") == "dump":
            record["zones"].reverse()
        return record

    (result,) = check(rewrite(CORE, tmp_path / "x.jsonl.gz", change))
    assert result.exact, result


def test_records_of_a_later_recorder_are_left_out_by_name(tmp_path):
    path = tmp_path / "later.jsonl"
    more = [{"k": "temperature", "c": 40}, ["XY", 1], ["A", 0xCC0, 11, -1]]
    path.write_text(gzip.decompress(CORE.read_bytes()).decode() + "\n".join(map(json.dumps, more)))
    (result,) = check(path)
    assert result.exact, result
    assert result.left_out == ["temperature", "XY"]


@pytest.mark.parametrize("name", ["gfp", "consts"])
def test_lines_of_a_table_that_the_simulator_has_not_are_left_out_by_name(name, tmp_path):
    lines = gzip.decompress((DATA / f"linux-6.12.117-{name}.jsonl.gz").read_bytes()).decode()
    path = tmp_path / "table.jsonl"
    more = [{"k": "later", "n": 1}, ["t", 1], {"k": "z", "node": 0, "i": 9, "name": "Far", "managed": 0}]
    path.write_text(lines + "".join(json.dumps(record) + "\n" for record in more[: 3 if name == "consts" else 2]))
    (result,) = check(path)
    assert {"later", "t"} <= set(result.left_out)
    assert result.first_difference in (None, "zone names of 0x9: Far in the kernel, None here")


def test_a_page_that_the_machine_has_not_is_a_difference_and_no_crash(tmp_path):
    def change(record):
        return ["F", 1 << 40, 0] if isinstance(record, list) and record[0] == "F" else record

    (result,) = check(rewrite(CORE, tmp_path / "x.jsonl.gz", change))
    assert "there is no such page" in result.first_difference


HEADER = {"format": "mmoracle-1", "kind": "buddy"}
START = f"{json.dumps(HEADER)}\n{json.dumps(dump(Machine(pages=4)))}".encode()
BAD_FILES = {
    "missing": (None, "No such file"),
    "not gzip": (b"plain text", "is not gzip data"),
    "cut short": (gzip.compress(b"x" * 9999, mtime=0)[:20], "cut short"),
    "binary": (gzip.compress(b"\xff\xfe\x00"), "is not text"),
    "not json": (gzip.compress(b"hello\n"), "line 1 is not JSON"),
    "empty": (gzip.compress(b""), "no header"),
    "no header": (gzip.compress(b"[1, 2]\n"), "no header"),
    "another format": (gzip.compress(b'{"format": "other-1", "kind": "buddy"}'), "other-1"),
    "unknown kind": (gzip.compress(json.dumps(HEADER | {"kind": "coffee"}).encode()), "kind 'coffee'"),
    "call before a dump": (gzip.compress(json.dumps(HEADER).encode() + b'\n["A", 0, 0, 1]'), "before the first dump"),
    "nothing known": (gzip.compress(START + b'\n["Z"]\n{"k": "fine"}'), "nothing to compare"),
    "no record": (gzip.compress(json.dumps(HEADER).encode()), "nothing to compare"),
    "no kind": (gzip.compress(START + b"\n[17, 4]"), "does not say of what kind"),
    "half a call": (gzip.compress(START + b'\n["A", 0]'), "not a call"),
    "no zones": (gzip.compress(json.dumps(HEADER).encode() + b'\n{"k": "dump", "zones": []}'), "no zone"),
    "slabs": (gzip.compress(START + b'\n{"k": "cache"}'), "slab allocator"),
    "half a dump": (gzip.compress(json.dumps(HEADER).encode() + b'\n{"k": "dump"}'), "zones"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_read_gets_a_sentence(case, tmp_path, capsys):
    content, reason = BAD_FILES[case]
    path = tmp_path / "bad.jsonl.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordingError, match=reason):
        check(path)
    assert main(["replay", str(path), str(CORE)]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"error: {path} ")
    assert len(told.err.splitlines()) == 1
    assert "100.00 %" in told.out, "the other file was replayed all the same"


def test_the_module_runs_as_a_command():
    done = subprocess.run([sys.executable, "-m", "kmm_sim", "--help"], capture_output=True, text=True, check=True)
    assert "replay" in done.stdout
