# SPDX-License-Identifier: GPL-2.0-only
"""Boots a kernel under QEMU, with the recorder and a script as its only user.

Emulation counts instructions instead of time (``-icount``), the clock starts on a fixed day and
addresses are not randomised: the same boot twice gives the same recording, to the byte.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments import Boot, Machine

DEBUGCON_PORT = "0x4f0"           # module/output.c writes there
FIXED_TIME = 1_700_000_000
QEMU = "qemu-system-x86_64"
EMULATION = ("-accel", "tcg", "-icount", "shift=1,sleep=off", "-cpu", "qemu64")
FOR_A_RECORDING = ("console=ttyS0 panic=-1 nokaslr kfence.sample_interval=0 nowatchdog "
                   "rcupdate.rcu_cpu_stall_suppress=1 loglevel=7 printk.devkmsg=on")
FOR_A_MISTAKE = ("console=ttyS0 panic=1 panic_on_oops=0 nokaslr kfence.sample_interval=0 nowatchdog loglevel=8 "
                 "no_hash_pointers")
TROUBLE = ("BUG", "WARNING", "Oops", "Kernel panic", "page allocation failure", "Out of memory", "soft lockup",
           "Unknown symbol", "insmod: ", "kmm_record: no ")
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
{lines}
poweroff -f
"""
CONFIG = """
CMA COMPACTION DEBUG_ATOMIC_SLEEP DEBUG_PAGEALLOC DEBUG_VM DEFERRED_STRUCT_PAGE_INIT HZ INIT_ON_ALLOC_DEFAULT_ON KASAN
KFENCE MEMCG NR_CPUS NUMA PAGE_OWNER PCP_BATCH_SCALE_MAX PREEMPT_DYNAMIC PREEMPT_VOLUNTARY RANDOM_KMALLOC_CACHES
SHUFFLE_PAGE_ALLOCATOR SLAB_BUCKETS SLAB_FREELIST_HARDENED SLAB_FREELIST_RANDOM SLAB_MERGE_DEFAULT SLUB
SLUB_CPU_PARTIAL SLUB_DEBUG TRANSPARENT_HUGEPAGE VMAP_STACK ZONE_DMA ZONE_DMA32
"""


@dataclass(frozen=True)
class Kernel:
    """What is booted: an image, its configuration, and the module built for it."""

    image: Path
    config: Path
    module: Path
    busybox: Path


def run(boot: Boot, kernel: Kernel, folder: Path) -> list[str]:
    """Boot, and leave ``NAME.out``, ``NAME.console`` and ``NAME.boot.json`` in the folder.

    Returns what the console said that it should not have.
    """
    console, initrd = folder / f"{boot.name}.console", folder / f"{boot.name}.initrd"
    initrd.write_bytes(_initrd(boot, kernel))
    told = {"machine": _machine(boot.machine), "config": _config(kernel.config), "emulator": _version(),
            "mistake": boot.mistake}
    (folder / f"{boot.name}.boot.json").write_text(json.dumps(told), encoding="utf-8")
    command = [
        QEMU, "-M", boot.machine.model, *EMULATION, "-rtc", "base=2024-01-01T00:00:00,clock=vm",
        "-m", boot.machine.memory, "-smp", boot.machine.cpus, "-nographic", "-nodefaults", "-no-reboot",
        "-serial", f"file:{console}", "-chardev", f"file,id=records,path={folder / boot.name}.out",
        "-device", f"isa-debugcon,iobase={DEBUGCON_PORT},chardev=records",
        "-kernel", str(kernel.image), "-initrd", str(initrd), "-append", _command_line(boot), *boot.machine.qemu,
    ]
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                               timeout=boot.timeout)
    except subprocess.TimeoutExpired:
        return [f"did not end in {boot.timeout} s; see {console}"]
    finally:
        initrd.unlink()
    if ended.returncode:
        return [f"{QEMU} ended with {ended.returncode}: {ended.stderr.strip()[-300:]}"]
    return [] if boot.mistake else _trouble(console)


def _command_line(boot: Boot) -> str:
    base = FOR_A_MISTAKE if boot.mistake else FOR_A_RECORDING
    return " ".join(filter(None, (base, "" if boot.merge else "slub_nomerge", boot.append, boot.machine.append)))


def _machine(machine: Machine) -> str:
    return f"qemu -M {machine.model} -m {machine.memory} -smp {machine.cpus} -cpu qemu64 -accel tcg " \
           "-icount shift=1,sleep=off"


def _version() -> str:
    return subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]


def _config(path: Path) -> dict[str, str]:
    found, wanted = {}, CONFIG.split()
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"(?:# )?CONFIG_(\w+)(?:=| is )(.*)", line)
        if match and match[1] in wanted:
            found[f"CONFIG_{match[1]}"] = "n" if match[2].startswith("not") else match[2]
    return found


def _trouble(console: Path) -> list[str]:
    lines = console.read_text(errors="replace").splitlines()
    return [line.strip() for line in lines if any(word in line for word in TROUBLE)][:4]


def _initrd(boot: Boot, kernel: Kernel) -> bytes:
    files = {
        "bin/busybox": kernel.busybox.read_bytes(),
        "init": INIT.format(lines="\n".join(boot.lines)).encode(),
        "kmm_record.ko": kernel.module.read_bytes(),
    }
    return gzip.compress(b"".join(_archive(files)), mtime=0)


def _archive(files: dict[str, bytes]) -> Iterator[bytes]:
    """Yield a cpio archive, as the kernel unpacks it: Documentation/driver-api/early-userspace/buffer-format.rst."""
    for folder in ("bin", "dev", "proc", "sys", "tmp"):
        yield _entry(folder, 0o040755)
    for name, content in sorted(files.items()):
        yield _entry(name, 0o100755, content)
    yield _entry("TRAILER!!!", 0)


def _entry(name: str, mode: int, content: bytes = b"") -> bytes:
    # inode, mode, uid, gid, links, mtime, size, device and its number twice, length of the name, check sum
    fields = (0, mode, 0, 0, 1, FIXED_TIME, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
