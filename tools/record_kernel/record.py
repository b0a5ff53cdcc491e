# SPDX-License-Identifier: GPL-2.0-only
"""Record what a real kernel's memory management does.

    python tools/record_kernel/record.py --kernel 6.12.117+deb12-cloud-amd64 --out /tmp/recordings --seed 7 script pages

builds the module, boots the kernel under QEMU once for each group of experiments whose name begins with one
of the words given (all of them without a word), and writes recordings that ``python -m kmm_sim replay`` reads.
README.md beside this file says what has to be installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from boot import QEMU, Kernel, run
from experiments import Boot, boots
from pack import PackingError, pack

MODULE_SOURCE = Path(__file__).resolve().parent / "module"


def main() -> int:
    """Build, boot, pack; return 1 if anything went wrong."""
    options = _options()
    every = boots(options.seed)
    chosen = [boot for boot in every.values() if _wanted(boot, options.experiments)]
    if options.list:
        print(*every, sep="\n")
        return 0
    if not chosen:
        sys.exit(f"error: no experiment begins with {' or '.join(options.experiments)}; --list has their names")
    raw = options.out / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    kernel = _kernel(options)
    began = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        fine = list(pool.map(lambda boot: _record(boot, kernel, raw, options.out), chosen))
    print(f"{sum(fine)} of {len(fine)} boots recorded in {time.monotonic() - began:.0f} s")
    return int(not all(fine))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="names, or how they begin (all)")
    parser.add_argument("--list", action="store_true", help="print the names of the experiments")
    parser.add_argument("--kernel", metavar="VERSION", help="as in /boot/vmlinuz-VERSION and /lib/modules/VERSION")
    parser.add_argument("--image", type=Path, help="a kernel image elsewhere (/boot/vmlinuz-VERSION)")
    parser.add_argument("--config", type=Path, help="its configuration (/boot/config-VERSION)")
    parser.add_argument("--headers", type=Path, help="its headers (/lib/modules/VERSION/build)")
    parser.add_argument("--busybox", type=Path, default=Path("/bin/busybox"), help="a static one (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="other seeds, other recordings (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("recordings"), help="folder for them (%(default)s)")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="boots at the same time (%(default)s)")
    options = parser.parse_args()
    if not options.list and not options.kernel and not (options.image and options.config and options.headers):
        parser.error("--kernel VERSION is needed (or --image, --config and --headers)")
    return options


def _wanted(boot: Boot, beginnings: Sequence[str]) -> bool:
    return boot.name.startswith(tuple(beginnings)) if beginnings else not boot.mistake


def _kernel(options: argparse.Namespace) -> Kernel:
    version = options.kernel
    image = options.image or Path(f"/boot/vmlinuz-{version}")
    config = options.config or Path(f"/boot/config-{version}")
    headers = options.headers or Path(f"/lib/modules/{version}/build")
    _need(image.exists(), f"no kernel image {image}", f"linux-image-{version}")
    _need(config.exists(), f"no configuration {config}", f"linux-image-{version}")
    _need(headers.exists(), f"no kernel headers in {headers}", f"linux-headers-{version}")
    _need(options.busybox.exists() and _is_static(options.busybox), f"no static {options.busybox}", "busybox-static")
    _need(shutil.which(QEMU), f"no {QEMU}", "qemu-system-x86")
    _need(shutil.which("make") and shutil.which("gcc"), "no make or gcc", "make and gcc")
    return Kernel(image, config, _build(headers, options.out / "module"), options.busybox)


def _need(there: object, what: str, package: str) -> None:
    if not there:
        sys.exit(f"error: {what}; install {package} (Debian's name)")


def _is_static(program: Path) -> bool:
    """Say whether an ELF program asks for no dynamic linker."""
    return b"ld-linux" not in program.read_bytes()[:4096]


def _build(headers: Path, folder: Path) -> Path:
    """Build the module in a copy: the kernel's makefiles leave files beside the source."""
    shutil.copytree(MODULE_SOURCE, folder, dirs_exist_ok=True)
    made = subprocess.run(["make", "-C", str(folder.resolve()), f"KERNEL_BUILD={headers.resolve()}"],
                          capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if made.returncode:
        sys.exit(f"{made.stdout}{made.stderr}\nerror: the module does not build for the kernel of {headers}")
    return folder / "kmm_record.ko"


def _record(boot: Boot, kernel: Kernel, raw: Path, recordings: Path) -> bool:
    began = time.monotonic()
    trouble = run(boot, kernel, raw)
    packed: list[Path] = []
    if not trouble:
        try:
            packed = pack(raw, boot.name, recordings)
        except PackingError as error:
            trouble = [str(error)]
    print(f"{boot.name}: {len(packed)} recordings, {time.monotonic() - began:.0f} s", *trouble, sep="\n  ", flush=True)
    return not trouble


if __name__ == "__main__":
    sys.exit(main())
