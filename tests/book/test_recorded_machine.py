"""What the chapters on kmalloc(), on choosing and on one's own machine show of a real kernel was recorded so."""

import gzip
import json
from pathlib import Path

import pytest

from kmm_sim.exercises import kmalloc, on_your_own_machine
from kmm_sim.mm.kmalloc import kmalloc_size_roundup
from kmm_sim.recording import read

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "book/recorded"
PROC = json.loads(gzip.decompress((ROOT / "tests/data/linux-6.12.117-proc-256M.json.gz").read_bytes()))["files"]


def lines(name: str) -> list[str]:
    return (RECORDED / f"{name}-6.12.117.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", ["pagetypeinfo", "zoneinfo", "meminfo", "vmallocinfo"])
def test_what_is_shown_of_a_file_are_its_lines_in_their_order(name):
    of = iter(PROC[f"/proc/{name}"].splitlines())
    for line in lines(f"own-{name}"):
        assert line == "[...]" or any(line.rstrip() == other.rstrip() for other in of), line


def test_the_lines_of_slabinfo_are_those_of_the_file():
    of = PROC["/proc/slabinfo"].splitlines()
    assert [line for line in of if line in lines("slabinfo-kmalloc")] == lines("slabinfo-kmalloc")
    assert len(lines("slabinfo-kmalloc")) == 2 + 13


def test_what_the_kernel_chose_for_itself_was_recorded():
    everything = [line.split(" : tunables")[0] for text in PROC.values() for line in text.splitlines()]
    for line in lines("choices"):
        assert not line or line.startswith("/proc/") or line in everything, line


def test_the_classes_in_the_book_are_those_that_were_recorded():
    recorded = [record for record in read(ROOT / "tests/data/linux-6.12.117-slub-kmalloc.jsonl.gz").records
                if isinstance(record, list) and record[0] == "GFP_KERNEL"]
    served = [record for record in recorded if record[3] != "NULL"]
    shown = [line.split() for line in lines("kmalloc-classes")[1:]]
    assert [(int(a), int(b), name, int(size)) for a, b, name, size in shown[:-1]] == [
        tuple(record[1:5]) for record in served]
    assert all(kmalloc_size_roundup(size) == record[4] for record in served for size in record[1:3])


def test_the_exercises_show_lines_of_the_same_machine():
    assert PROC["/proc/buddyinfo"].split() == on_your_own_machine.BUDDYINFO.split()
    of = {line.split()[0]: line.split() for line in PROC["/proc/slabinfo"].splitlines()}
    for line in on_your_own_machine.SLABINFO.strip().splitlines()[1:]:
        words = line.split()
        assert words[:6] == of[words[0]][:6]
        assert words[-2:] == of[words[0]][-3:-1]
    assert kmalloc.SIZES[0] == 1


def test_the_exercises_on_reports_show_what_was_recorded():
    failure = (ROOT / "tests/data/linux-6.12.117-dmesg-alloc_fail_dma.txt").read_text(encoding="utf-8")
    for line in on_your_own_machine.FAILURE.strip().splitlines():
        assert line.strip() in failure, line
    oom = "\n".join(lines("own-oom"))
    for line in on_your_own_machine.OOM.strip().splitlines():
        if "slab" not in line and "pages" not in line.split():
            assert line.strip()[:80] in oom, line
