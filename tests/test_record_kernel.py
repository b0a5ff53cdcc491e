"""The recorder (tools/record_kernel): what can be checked of it without a kernel."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kmm_sim.recording import KINDS, check, read

ROOT = Path(__file__).resolve().parents[1]
RECORDER = ROOT / "tools" / "record_kernel"
SAMPLE = ROOT / "tests" / "data" / "linux-6.12.117-pages-split_merge_dma.jsonl.gz"
ALL_LINES = "import experiments, json; print(json.dumps([[*boot.lines] for boot in experiments.boots(1).values()]))"


def said_by_the_module(recording):
    """What the module wrote when this was recorded."""
    header = recording.header
    first = {"k": "run", "exp": header["kind"], "kernel": header["kernel"].split()[1], "shuffle": 0}
    first |= {name: header[name] for name in ("name", "seed", "cpus", "nr_cpu_ids", "cmdline")} | header["params"]
    return "".join(json.dumps(record) + "\n" for record in (first, *recording.records, {"k": "end", "rc": 0}))


@pytest.fixture
def raw(tmp_path):
    recording = read(SAMPLE)
    told = {"machine": recording.header["machine"], "config": recording.header["config"], "emulator": "QEMU",
            "mistake": False}
    (tmp_path / "script-dma.boot.json").write_text(json.dumps(told))
    (tmp_path / "script-dma.out").write_text(said_by_the_module(recording))
    return tmp_path


def pack(raw):
    return subprocess.run([sys.executable, RECORDER / "pack.py", raw, raw / "packed"], capture_output=True, text=True)


def test_what_the_module_says_becomes_a_recording_that_replays(raw):
    packed = pack(raw)
    assert packed.returncode == 0, packed.stderr
    path = raw / "packed" / "buddy" / "split_merge_dma.jsonl.gz"
    ours, sample = read(path), read(SAMPLE)
    assert ours.records == sample.records
    assert set(ours.header) == set(sample.header)
    assert {key: ours.header[key] for key in ("kind", "name", "params", "legend")} == {
        key: sample.header[key] for key in ("kind", "name", "params", "legend")}
    assert all(result.exact for result in check(path))


def test_packing_twice_gives_the_same_bytes(raw):
    path = raw / "packed" / "buddy" / "split_merge_dma.jsonl.gz"
    pack(raw)
    first = path.read_bytes()
    pack(raw)
    assert path.read_bytes() == first
    assert gzip.decompress(first).startswith(b'{"format":')


@pytest.mark.parametrize(("spoil", "sentence"), [
    (lambda text: text[:len(text) // 2], "is not JSON: did the boot end early?"),
    (lambda text: "".join(text.splitlines(keepends=True)[:-1]), "split_merge_dma has no end"),
    (lambda text: text.replace('"rc": 0', '"rc": -12'), "split_merge_dma failed with -12"),
])
def test_a_boot_that_went_wrong_is_no_recording(raw, spoil, sentence):
    out = raw / "script-dma.out"
    out.write_text(spoil(out.read_text()))
    packed = pack(raw)
    assert packed.returncode == 1
    assert sentence in packed.stderr
    assert not (raw / "packed").exists()


def test_every_experiment_is_one_the_module_has_with_parameters_it_takes():
    lines = subprocess.run([sys.executable, "-c", ALL_LINES], cwd=RECORDER, capture_output=True, text=True, check=True)
    main = (RECORDER / "module" / "main.c").read_text()
    kinds = set(re.findall(r'\{ "(\w+)", exp_\w+ \}', main)) | {"copy"}
    parameters = set(re.findall(r"PARAMETER\((\w+),", main)) | {"exp"}
    mistakes = set(re.findall(r"MISTAKE\((\w+)\),", (RECORDER / "module" / "mistakes.c").read_text()))
    loads = re.findall(r"insmod /kmm_record.ko ([\w= -]*\w)", "\n".join(map(str, json.loads(lines.stdout))))
    assert len(loads) > 100
    for load in loads:
        words = dict(word.split("=") for word in load.split())
        assert words["exp"] in kinds
        assert set(words) <= parameters
        assert words["exp"] != "mistake" or words["name"] in mistakes
    assert kinds - {"copy", "mistake", "zones"} <= set(KINDS)


def test_a_kernel_that_is_not_there_is_asked_for_by_its_package(tmp_path):
    command = [sys.executable, RECORDER / "record.py", "--kernel", "6.12.0-none", "--out", tmp_path, "script"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "error: no kernel image /boot/vmlinuz-6.12.0-none; install linux-image-6.12.0-none" in ended.stderr


def test_a_recording_of_this_module_with_another_seed_is_followed_to_the_end():
    """Made with ``record.py --seed 4711 pages-dma``: it has every tracepoint, and dumps in between."""
    path = ROOT / "tests" / "data" / "linux-6.12.117-pages-dma_traced_seed4719.jsonl.gz"
    header = read(path).header
    assert header["recorded_by"].startswith("kmm_record.ko exp=buddy in QEMU")
    assert header["seed"] == 4719
    (result,) = check(path)
    assert result.exact, result
    assert {what: tally.total for what, tally in result.tallies.items()} == {
        "requests": 534, "other events": 1957, "dumps": 5, "fallbacks": 3}
