"""/proc texts, compared with those of a real kernel."""

import gzip
import json
from pathlib import Path

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.observe import buddyinfo, dump, snapshot

RECORDED = Path(__file__).parents[1] / "data" / "linux-6.12.117-proc-256M.json.gz"
FILES = json.loads(gzip.decompress(RECORDED.read_bytes()))["files"]


def machine_with(counts):
    """A machine of 256 MiB with so many free blocks of each order in each zone."""
    state = dump(Machine(memory="256 MiB"))
    for zone, orders in zip(state["zones"], counts, strict=True):
        pfn, zone["free"], zone["free_global"] = (zone["start"] + 1023) & ~1023, [], 0
        for order in range(10, -1, -1):
            step = 1 << order if order > 8 else 2 << order  # leave each block's buddy in use
            zone["free"].append([order, 1, list(range(pfn, pfn + orders[order] * step, step))])
            pfn += orders[order] * step
            zone["free_global"] += orders[order] << order
    return Machine.from_dump(state)


def test_buddyinfo_is_printed_as_the_kernel_prints_it():
    recorded = FILES["/proc/buddyinfo"]
    counts = [[int(word) for word in line.split()[4:]] for line in recorded.splitlines()]
    assert [sum(orders) for orders in counts] == [7, 83]
    assert buddyinfo(machine_with(counts)).rstrip("\n") == recorded.rstrip("\n")


def test_buddyinfo_takes_a_machine_or_a_snapshot():
    machine = Machine(pages=64)
    machine.alloc_page(GFP_KERNEL)
    line = "Node 0, zone   Normal      1      1      1      1      1      1      0      0      0      0      0 \n"
    assert buddyinfo(machine) == buddyinfo(snapshot(machine)) == line
