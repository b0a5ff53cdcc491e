# SPDX-License-Identifier: GPL-2.0-only
"""How much slower is the simulator in the page?  Run with ``python tools/bench_pyodide.py [REQUESTS]``.

The runs of bench_page_alloc.py and bench_kmalloc.py, under this Python and under the one of the page: Pyodide,
started by Node from what ``make html`` has put into _build/live/npm.  Times are of the processor; Pyodide
knows only the clock on the wall, and asks Node.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYODIDE = ROOT / "_build/live/npm/node_modules/pyodide/pyodide.mjs"
START = """
import { pathToFileURL } from "node:url";
const [module, root, requests] = process.argv.slice(1);
const { loadPyodide } = await import(pathToFileURL(module).href);
const python = await loadPyodide();
python.FS.mkdir("/project");
python.FS.mount(python.FS.filesystems.NODEFS, { root }, "/project");
python.runPython("import sys; sys.path[:0] = ['/project', '/project/tools']");
console.log(python.runPython(`import bench_pyodide; bench_pyodide.measured(${Number(requests)})`));
"""


def timed(requests: int) -> dict[str, float]:
    """Return the seconds that a request takes, by what is asked for; the best of three."""
    import bench_kmalloc
    import bench_page_alloc

    if sys.platform == "emscripten":
        time.process_time = of_node  # what both of these look at
    pages = 1 << 18
    steps = bench_page_alloc.requests(requests, pages)
    return {
        "pages": 1 / max(bench_page_alloc.of_machine(steps, pages, trace=False) for _ in range(3)),
        "pages, with events": 1 / max(bench_page_alloc.of_machine(steps, pages, trace=True) for _ in range(3)),
        "kmalloc": min(bench_kmalloc.seconds(1000, requests, [64], *bench_kmalloc.of_machine()) for _ in range(3)),
    }


def of_node() -> float:
    """Return the seconds of the processor that Node has used."""
    import js

    usage = js.process.cpuUsage()
    return float(usage.user + usage.system) / 1e6


def measured(requests: int) -> str:
    """Return the answer of timed() as a line of text that one Python can hand to another."""
    return json.dumps(timed(requests))


def in_pyodide(requests: int) -> dict[str, float]:
    """Return what timed() says under Pyodide."""
    sys.path.insert(0, str(ROOT / "book/_ext"))
    from kmm_live.node import programs

    if not PYODIDE.is_file():
        raise SystemExit("no Pyodide in _build/live/npm: run make html first")
    command = [*programs()[0], "--input-type=module", "-e", START, str(PYODIDE), str(ROOT), str(requests)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print a line for each kind of request."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sys.path.insert(0, str(ROOT))
    here, there = timed(requests), in_pyodide(requests)
    print(f"{requests:,} requests; microseconds each\n{'':20} {'CPython':>8} {'Pyodide':>8} {'ratio':>6}")
    for what, seconds in here.items():
        print(f"{what:20} {seconds * 1e6:8.2f} {there[what] * 1e6:8.2f} {there[what] / seconds:6.2f}")


if __name__ == "__main__":
    main()
