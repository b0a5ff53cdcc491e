# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of a real kernel, and how nearly the simulator does the same.

A recording of page requests begins with a complete dump of a kernel's allocator.  Then come
the calls that were made on it, each with its answer, the events in between, and more dumps.
The simulator starts from the first dump, is asked the same, and whatever it does otherwise
counts: a page frame, an event, one entry of one list.  Other recordings are of a machine's
zones after a knob was turned, or tables of constants and masks.

    for result in check("kernel_masks_core.jsonl.gz"):
        print(result)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kmm_sim.recording.files import Recording, RecordingError, read
from kmm_sim.recording.pages import replay_pages
from kmm_sim.recording.proc import check_proc
from kmm_sim.recording.result import Result, Tally
from kmm_sim.recording.slabs import replay_slabs, replay_smp
from kmm_sim.recording.stacks import replay_stacks
from kmm_sim.recording.tables import check_consts, check_gfp
from kmm_sim.recording.tables_slab import check_caches, check_kcache, check_kmalloc
from kmm_sim.recording.vmalloc import replay_vmalloc
from kmm_sim.recording.zones import check_zones

__all__ = ["Recording", "RecordingError", "Result", "Tally", "check", "read"]

KINDS: dict[str, Callable[[Recording], list[Result]]] = {
    "buddy": replay_pages,
    "script": replay_pages,
    "drain": replay_pages,
    "smp": replay_smp,
    "slub": replay_slabs,
    "kmallocseq": replay_slabs,
    "proc": check_proc,
    "kmalloc": check_kmalloc,
    "kcache": check_kcache,
    "caches": check_caches,
    "zone-setup": check_zones,
    "gfp": check_gfp,
    "vmalloc": replay_vmalloc,
    "stacks": replay_stacks,
    "consts": check_consts,
}


def check(path: str | Path) -> list[Result]:
    """Compare the recording in a file with the simulator; return a result for each section.

    Raises RecordingError for a file that cannot be read, is of a kind that the simulator does not
    know, or has nothing that could be compared.
    """
    recording = read(path)
    if recording.kind not in KINDS:
        raise RecordingError(
            f"{path} is a recording of kind {recording.kind!r}; the simulator knows "
            f"{', '.join(KINDS)}"
        )
    try:
        results = KINDS[recording.kind](recording)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RecordingError(f"{path} has a record that is not as it should be: {error}") from error
    if not any(result.tallies for result in results):
        raise RecordingError(f"{path} has nothing to compare: a header, and no record that the simulator knows")
    return results
