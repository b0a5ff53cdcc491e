# SPDX-License-Identifier: GPL-2.0-only
"""A fence around the process that runs a notebook: limits, and what Linux lets a process give up for good.

Nothing here needs privileges.  seccomp takes away signals to others, tracing and the network; Landlock takes away
writing outside one folder and reading what is no part of Python.  Where the kernel has them not, ``raise_fence``
says so and the rest still stands.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import sys
from pathlib import Path

__all__ = ["hide", "lifetime_of_parent", "limit", "limit_memory", "raise_fence", "reap"]

# <linux/prctl.h>, <linux/seccomp.h>, <linux/landlock.h>
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38
SECCOMP_MODE_FILTER, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, EPERM = 2, 0x7FFF0000, 0x00050000, 1
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
READS, WRITES = 0b1101, 0b1_1111_1111_0010  # execute, read a file, read a folder; all that version 1 knows besides
TRUNCATE, TRUNCATE_SINCE = 1 << 14, 3

# Calls that no notebook needs: signals to others, tracing, sockets, io_uring (which would get around all this), and
# what Landlock does not watch: the modes, owners and attributes of files, and cutting them off by name.
FORBIDDEN = {
    "x86_64": (0xC000003E, (62, 200, 234, 129, 297, 424, 101, 310, 311, 41, 141, 425,
                            90, 91, 268, 452, 92, 93, 94, 260, 188, 189, 190, 76)),
    "aarch64": (0xC00000B7, (129, 130, 131, 138, 240, 424, 117, 270, 271, 198, 140, 425,
                             52, 53, 452, 54, 55, 5, 6, 7, 45)),
}
X32 = 0x40000000


def limit(memory: int, seconds: int) -> None:
    """Limit this process and its children: bytes of memory each, seconds of computing, sizes of files."""
    limit_memory(memory)
    for what, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0),
                       (resource.RLIMIT_FSIZE, 64 << 20), (resource.RLIMIT_NOFILE, 256)):
        _at_most(what, most)
    if os.geteuid():
        resource.setrlimit(resource.RLIMIT_NPROC, (_processes() + 64,) * 2)


def limit_memory(memory: int) -> None:
    """Limit the bytes of memory of this process, and of each of its children."""
    _at_most(resource.RLIMIT_AS, memory)


def _at_most(what: int, most: int) -> None:
    _soft, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, most))


def _processes() -> int:
    """How many processes and threads this user has: the limit counts all of them."""
    own = os.geteuid()
    try:
        tasks = [task for task in Path("/proc").glob("[0-9]*/task/*") if task.stat().st_uid == own]
    except OSError:
        return 1000
    return len(tasks)


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)


def hide() -> None:
    """Keep this process's memory from others of the same user."""
    _prctl(PR_SET_DUMPABLE, 0)


def reap() -> None:
    """Become the parent of whatever descendant loses its own, so that none gets away."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def lifetime_of_parent(parent: int) -> None:
    """Die with the process ``parent``, which started this one; at once if it has died already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def raise_fence(folder: Path) -> tuple[str, ...]:
    """Give up what a notebook needs not, for good; return the names of what could be given up."""
    if not sys.platform.startswith("linux"):
        return ()
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    had = {"Landlock": _landlock(folder), "seccomp": _seccomp()}
    return tuple(name for name, had_it in had.items() if had_it)


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction))]


def _seccomp() -> bool:
    """Forbid the calls in FORBIDDEN: they fail with EPERM."""
    if platform.machine() not in FORBIDDEN:
        return False
    machine, numbers = FORBIDDEN[platform.machine()]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    deny = len(numbers) + 3  # how far it is from the first test to the last instruction, which denies
    steps = [(load, 0, 0, 4), (equal, 0, deny, machine), (load, 0, 0, 0), (at_least, deny - 2, 0, X32)]
    steps += [(equal, len(numbers) - number, 0, call) for number, call in enumerate(numbers)]
    steps += [(answer, 0, 0, SECCOMP_RET_ALLOW), (answer, 0, 0, SECCOMP_RET_ERRNO | EPERM)]
    program = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    given = ctypes.byref(_Program(len(steps), program))
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, given, 0, 0) == 0)


class _Ruleset(ctypes.Structure):
    _fields_ = [("handled_access_fs", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int)]


def _landlock(folder: Path) -> bool:
    """Allow writing in ``folder`` alone, and reading there and where Python and the system's libraries are."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    writes = WRITES | (TRUNCATE if version >= TRUNCATE_SINCE else 0)
    rules = libc.syscall(CREATE_RULESET, ctypes.byref(_Ruleset(READS | writes)), ctypes.c_size_t(8), 0)
    if rules < 0:
        return False
    allowed = [(each, READS) for each in sorted(_readable())]
    for path, access in (*allowed, (folder, READS | writes), (Path("/dev/null"), READS | 2)):
        _allow(libc, rules, path, access)
    done = libc.syscall(RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return bool(done)


def _readable() -> set[Path]:
    """Where Python, its packages and the system's libraries are.

    Not all of ``sys.path``: the folder that holds this package may well hold the notebooks that others handed in.
    """
    parts = ("bin", "lib", "lib64", "share", "pyvenv.cfg")
    python = {Path(prefix, part).resolve() for prefix in (sys.prefix, sys.base_prefix) for part in parts}
    packages = {Path(each).resolve() for each in sys.path if each.endswith(("site-packages", "dist-packages"))}
    system = {Path(each) for each in (
        "/usr", "/lib", "/lib64", "/etc", "/sys", "/dev", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat")}
    return python | packages | system | {Path(__file__).resolve().parents[1]}


def _allow(libc: ctypes.CDLL, rules: int, path: Path, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not path.is_dir():
        access &= 0b111 | TRUNCATE  # a rule for a file may say nothing of folders
    libc.syscall(ADD_RULE, rules, 1, ctypes.byref(_Beneath(access, fd)), 0)
    os.close(fd)
