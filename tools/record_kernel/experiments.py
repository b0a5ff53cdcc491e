# SPDX-License-Identifier: GPL-2.0-only
"""What is recorded: which machine is booted, and what its first process runs there.

Each experiment has a seed of its own, counted from the one asked for: another ``--seed`` gives
another recording of everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

THREE_ZONES = "pc,max-ram-below-4g=192M"      # DMA, DMA32 and Normal in less than half a gigabyte
NO_ZEROING = "init_on_alloc=0"


@dataclass(frozen=True)
class Machine:
    """A machine as QEMU makes it, and what its kernel is told."""

    memory: str
    model: str = THREE_ZONES
    cpus: str = "1"
    append: str = "swiotlb=noforce"           # its bounce buffer would take most of DMA32
    qemu: tuple[str, ...] = ()


SMALL = Machine("448M")
NO_NORMAL = Machine("256M", model="pc", append="")
ONE_GIG = Machine("1216M")                    # Normal of 1 GiB: per-CPU batches of 63
MOVABLE_ZONE = Machine("448M", append="movablecore=128M swiotlb=noforce")
TWO_CPUS = Machine("448M", cpus="2")
TWO_NODES = Machine("512M", model="pc", cpus="2,sockets=2,cores=1,threads=1", append="", qemu=(
    "-object", "memory-backend-ram,id=m0,size=256M", "-object", "memory-backend-ram,id=m1,size=256M",
    "-numa", "node,nodeid=0,cpus=0,memdev=m0", "-numa", "node,nodeid=1,cpus=1,memdev=m1",
))


@dataclass(frozen=True)
class Boot:
    """One boot of a machine, and the lines of shell that make its recordings."""

    name: str
    machine: Machine
    lines: Sequence[str]
    append: str = NO_ZEROING
    timeout: int = 600
    merge: bool = False                       # may slab caches be merged?
    mistake: bool = False                     # it is the console that is kept


def load(exp: str, name: str, **parameters: int) -> str:
    """Return the line that does one experiment: to load the module is to run it."""
    words = [f"{key}={value}" for key, value in {"exp": exp, "name": name, **parameters}.items()]
    return f"insmod /kmm_record.ko {' '.join(words)} && rmmod kmm_record"


def boots(seed: int) -> dict[str, Boot]:
    """Return every boot by its name."""
    seeds = count(seed)
    every = [*_walks(seeds), *_scripts(seeds), *_drains(seeds), *_slabs(seeds), *_vmalloc(seeds), *_two_cpus(seeds),
             *_tables(seeds), *_zone_setups(), *_proc(), *_mistakes()]
    return {boot.name: boot for boot in every}


def _walks(seeds: count) -> list[Boot]:
    def walk(name: str, **parameters: int) -> str:
        return load("buddy", name, **{"seed": next(seeds), "mtp": 2, "ev": 1} | parameters)

    return [
        Boot("pages-dma", SMALL, [
            walk("dma_core_unmovable", zmod=1, pcpmode=1, nops=3000, mtp=0, dint=300),
            walk("dma_core_mixed", zmod=1, pcpmode=1, nops=4000, wmp=1, dint=400),
            walk("dma_core_uniform", zmod=1, pcpmode=1, nops=3000, wmp=2, prof=1, dint=300),
            walk("dma_order4_8", zmod=1, nops=4000, wmp=1, prof=1, omin=4, omax=8, dint=400),
            walk("dma_pcp", zmod=1, nops=5000, wmp=1, prof=2, dint=500),
            walk("dma_pcp_small", zmod=1, nops=5000, omax=3, dint=500),
            walk("dma_tight", zmod=1, nops=5000, wmp=2, omax=5, ballast=500, dint=500),
            walk("dma_tight_core", zmod=1, pcpmode=1, nops=5000, wmp=2, omax=6, ballast=700, dint=500),
            walk("dma_traced", zmod=1, nops=800, wmp=1, ev=7, dint=200),
        ]),
        Boot("pages-normal", SMALL, [
            walk("normal_core", zmod=0, pcpmode=1, nops=4000, wmp=1, prof=1, dint=1000, fill=30),
            walk("normal_pcp", zmod=0, nops=6000, wmp=2, prof=1, dint=1000, fill=30),
            walk("normal_pcp_small", zmod=0, nops=8000, wmp=1, omax=3, cap=16000, dint=2000),
            walk("mixed_zones", zmod=-1, nops=6000, wmp=2, prof=1, dint=1000, fill=30),
            walk("normal_big", zmod=0, nops=3000, wmp=2, prof=1, omin=6, dint=600, fill=20),
            walk("normal_tight", zmod=0, nops=8000, wmp=2, omax=4, ballast=2500, arg2=2, cap=16000, dint=1600),
            walk("normal_tight_core", zmod=0, pcpmode=1, nops=8000, wmp=1, omax=6, ballast=3000, arg2=2, cap=16000,
                 dint=1600),
            walk("normal_traced", zmod=0, nops=800, wmp=1, ev=7, dint=400),
        ]),
        Boot("pages-kernel-masks", SMALL, [
            walk("kernel_masks", zmod=0, nops=8000, mtp=0, wmp=3, omax=3, cap=9000, dint=1600),
            walk("kernel_masks_core", zmod=0, pcpmode=1, nops=4000, mtp=0, wmp=3, prof=2, omax=6, cap=6000, dint=1000),
        ]),
        Boot("pages-no-normal", NO_NORMAL, [
            walk("b_core", zmod=0, pcpmode=1, nops=4000, wmp=2, prof=1, dint=1000, fill=30),
            walk("b_pcp", zmod=0, nops=6000, wmp=2, cap=12000, dint=1500, fill=30),
            walk("b_tight", zmod=0, nops=8000, wmp=2, prof=2, omax=3, ballast=2000, arg2=1, cap=16000, dint=1600),
            walk("b_movable_only", zmod=0, nops=4000, mtp=1, prof=1, dint=1000, fill=40),
            walk("b_frag", zmod=0, nops=6000, mtp=4, prof=2, cap=12000, dint=1500, fill=40),
        ]),
        Boot("pages-one-gig", ONE_GIG, [
            walk("c_pcp", zmod=0, nops=8000, wmp=1, prof=2, cap=16000, dint=2000),
            walk("c_order0", zmod=0, nops=8000, prof=1, omax=0, cap=16000, dint=2000),
            walk("c_tight", zmod=0, nops=8000, wmp=2, omax=3, ballast=6000, arg2=2, cap=16000, dint=2000),
            walk("c_big", zmod=0, nops=5000, wmp=2, prof=1, omin=3, dint=1250, fill=20),
        ]),
        Boot("pages-movable-zone", MOVABLE_ZONE, [
            walk("d_movablezone", zmod=2, nops=5000, wmp=1, prof=1, dint=1250, fill=30),
            walk("d_movablezone_only", zmod=2, nops=4000, mtp=1, prof=1, dint=1000, fill=30),
        ]),
    ]


def _scripts(seeds: count) -> list[Boot]:
    seed = next(seeds)
    return [
        Boot("script-dma", SMALL, [
            load("script", "split_merge_dma", zmod=1, pcpmode=1, arg1=0, ev=3, seed=seed),
            load("script", "migratetypes_dma", zmod=1, pcpmode=1, arg1=1, ev=3, seed=seed),
            load("script", "pcp_dma", zmod=1, pcpmode=2, arg1=2, ev=3, seed=seed),
            load("script", "bulk_exact_dma", zmod=1, pcpmode=2, arg1=3, seed=seed),
        ]),
        Boot("script-normal", NO_NORMAL, [
            load("script", "pcp_normal", zmod=0, pcpmode=2, arg1=2, seed=seed),
            load("script", "bulk_exact_normal", zmod=0, pcpmode=2, arg1=3, seed=seed),
            load("script", "migratetypes_normal", zmod=0, arg1=1, ev=1, seed=seed),
        ]),
        Boot("script-shaken", SMALL, [         # the same stories from free lists that were in use
            load("script", "split_merge_shaken", zmod=1, pcpmode=1, arg1=0, arg2=90, ev=3, seed=seed),
            load("script", "migratetypes_shaken", zmod=1, pcpmode=1, arg1=1, arg2=90, ev=3, seed=seed),
            load("script", "pcp_shaken", zmod=1, pcpmode=2, arg1=2, arg2=90, ev=3, seed=seed),
        ]),
    ]


def _drains(seeds: count) -> list[Boot]:
    seed = next(seeds)
    masks = [load("drain", f"normal_o5_mask{mask}", zmod=0, arg1=mask, arg2=2, omin=5, seed=seed) for mask in range(7)]
    return [
        Boot("drain-dma", SMALL, [
            load("drain", "dma_o0", zmod=1, arg1=-1, omin=0, seed=seed),
            load("drain", "dma_o0_nopcp", zmod=1, arg1=-1, omin=0, pcpmode=1, seed=seed),
            load("drain", "dma_o2", zmod=1, arg1=-1, omin=2, seed=seed),
            load("drain", "dma_o4", zmod=1, arg1=-1, omin=4, seed=seed),
        ]),
        Boot("drain-normal", SMALL, [
            *masks, load("drain", "normal_o2_nowait", zmod=0, arg1=0, arg2=2, omin=2, seed=seed),
        ]),
    ]


def _slabs(seeds: count) -> list[Boot]:
    def churn(size: int, flags: int) -> list[str]:
        seed, cap = next(seeds), min(2000, 400 + 65536 // size)
        return [load("slub", f"churn_{order}", arg1=size, arg3=flags, mtp=mtp, nops=2500, cap=cap, seed=seed, ev=4)
                for order, mtp in (("seq", 1), ("rand", 0))]

    def story(size: int) -> list[str]:
        seed = next(seeds)
        return [load("slub", f"script_{order}", arg1=size, mtp=mtp, prof=1, fill=24, cap=4000, seed=seed, ev=4)
                for order, mtp in (("seq", 1), ("rand", 0))]

    sizes = ((16, 0), (64, 0), (192, 1), (256, 0), (700, 1), (1024, 0), (2048, 0), (4096, 0))
    return [
        Boot("slub", SMALL, [
            *(line for size, flags in sizes for line in churn(size, flags)),
            *story(256), *story(1024),
            load("slub", "churn_debug", arg1=64, arg3=10, mtp=1, nops=1200, cap=400, seed=next(seeds), dint=200, ev=4),
            load("slub", "churn_sanity", arg1=128, arg3=9, nops=1200, cap=400, seed=next(seeds), dint=200, ev=4),
        ]),
        Boot("kmalloc", SMALL, [
            load("kmallocseq", "kmalloc_mix", nops=4000, cap=1500, seed=next(seeds), ev=4),
            load("kmallocseq", "kmalloc_mix2", nops=4000, cap=600, seed=next(seeds), ev=4),
        ]),
    ]


def _vmalloc(seeds: count) -> list[Boot]:
    return [
        Boot("vmalloc", SMALL, [
            load("vmalloc", "vmalloc_purged", nops=600, cap=80, fill=40, arg1=1, seed=next(seeds)),
            load("vmalloc", "vmalloc_lazy", nops=600, cap=200, fill=45, seed=next(seeds)),
            load("stacks", "stacks", seed=next(seeds)),
        ]),
        # One CPU at work, but as many pools of free areas as there are CPUs
        Boot("vmalloc-four-cpus", Machine("448M", cpus="4"), [
            load("vmalloc", "vmalloc_pools", nops=600, cap=100, fill=45, seed=next(seeds)),
        ], append=f"{NO_ZEROING} maxcpus=1"),
    ]


def _two_cpus(seeds: count) -> list[Boot]:
    return [Boot("smp", TWO_CPUS, [
        load("smp", "smp2_pages", zmod=0, nops=700, omax=3, cap=3000, ev=1, dint=140, seed=next(seeds)),
        load("smp", "smp2_pages_dma", zmod=1, nops=500, omax=4, cap=800, ev=1, dint=100, seed=next(seeds)),
        load("smp", "smp2_slub_seq", arg1=256, mtp=1, nops=900, cap=700, ev=4, dint=100, seed=next(seeds)),
        load("smp", "smp2_slub_rand", arg1=512, nops=900, cap=500, ev=4, dint=100, seed=next(seeds)),
    ])]


def _tables(seeds: count) -> list[Boot]:
    by_cpus = [
        Boot(f"tables-{cpus}-cpus", Machine("448M", cpus=str(cpus)), [
            load("kcache", f"kcache_cpus{cpus}", arg2=1), load("caches", f"caches_cpus{cpus}"),
        ], append=f"{NO_ZEROING} maxcpus=1", timeout=1200)
        for cpus in (2, 8, 32)
    ]
    return [
        Boot("tables", SMALL, [
            load("consts", "consts"), load("gfp", "gfp", nops=1500, seed=next(seeds)), load("kmalloc", "kmalloc"),
            load("caches", "caches_nomerge"), load("kcache", "kcache"),
        ], append="", timeout=1200),
        *by_cpus,
        Boot("tables-two-nodes", TWO_NODES, [load("consts", "numa_consts")]),
    ]


def _zone_setups() -> list[Boot]:
    knobs = "/proc/sys/vm"
    lines = [
        load("zones", "default"), load("consts", "consts"),
        f"echo 8192 > {knobs}/min_free_kbytes", load("zones", "min_free_kbytes_8192"),
        f"echo 200 > {knobs}/watermark_scale_factor", load("zones", "min_free_kbytes_8192_wsf_200"),
        f"echo '64 64 16 0 0' > {knobs}/lowmem_reserve_ratio", load("zones", "lowmem_ratio_64_64_16"),
        f"echo 16 > {knobs}/percpu_pagelist_high_fraction", load("zones", "pcp_high_fraction_16"),
    ]
    machines = {size: Machine(size, model="pc", append="") for size in ("96M", "128M", "512M", "1G", "2G", "6G", "16G")}
    machines |= {"3zone": Machine("448M", append=""), "3zone2G": Machine("2240M", append=""),
                 "smp4": Machine("1G", model="pc", cpus="4", append="")}
    return [Boot(f"zones-{name}", machine, lines) for name, machine in machines.items()]


PROC_FILES = """
/proc/version /proc/cmdline /proc/meminfo /proc/zoneinfo /proc/buddyinfo /proc/pagetypeinfo /proc/slabinfo
/proc/vmallocinfo /proc/iomem /proc/vmstat /proc/sys/vm/min_free_kbytes /proc/sys/vm/lowmem_reserve_ratio
/proc/sys/vm/watermark_scale_factor /proc/sys/vm/watermark_boost_factor
/proc/sys/vm/percpu_pagelist_high_fraction /sys/kernel/mm/transparent_hugepage/enabled
"""
SLAB_FILES = ("object_size slab_size order objs_per_slab cpu_partial min_partial align aliases hwcache_align "
              "reclaim_account destroy_by_rcu")


def _proc() -> list[Boot]:
    lines = [
        "insmod /kmm_record.ko exp=copy",
        'copy() { echo "===FILE $2" > /proc/kmm_record; cat $1 > /proc/kmm_record; }',
        f"for f in {' '.join(PROC_FILES.split())}; do copy $f $f; done",
        "cd /sys/kernel/slab",
        f"for c in *; do [ -L $c ] || for a in {SLAB_FILES}; do",
        '  [ -r $c/$a ] && read v < $c/$a && echo "===SLAB $c $a $v"; done; done > /tmp/slabs',
        "cat /tmp/slabs > /proc/kmm_record",
        'ls -l | grep -e "->" > /tmp/links; copy /tmp/links slab-links; cd /',
    ]
    return [
        Boot("proc", SMALL, lines, append=""),
        Boot("proc-merge", SMALL, lines, append="", merge=True),
        Boot("proc-256M", NO_NORMAL, lines, append=""),
    ]


MISTAKES = """
page_double_free page_free_mapped page_free_locked page_wrong_order page_uaf alloc_fail_atomic alloc_fail_order3
alloc_fail_dma order_too_big nofail_order2 oom_kernel slub_double_free slub_double_free2 slub_leak_destroy
slub_wrong_cache slubdbg_double_free slubdbg_redzone slubdbg_leftredzone slubdbg_uaf slubdbg_badptr slubdbg_leak
slubdbg_wrongcache kmem_cache_dup_name kmalloc_too_big gfp_highmem_kmalloc kmalloc_uaf kmalloc_overflow kfree_vmalloc
kfree_page kfree_misaligned kfree_wild vfree_bad vfree_kmalloc vmalloc_guard vmalloc_uaf vmalloc_too_big
vmalloc_uninit stack_overflow sched_atomic sleep_atomic_alloc sleep_irqsoff_alloc vmalloc_atomic
"""


def _mistakes() -> list[Boot]:
    def boot(name: str, *lines: str) -> Boot:
        machine = NO_NORMAL if name.startswith("oom") else SMALL
        quiet = "echo 0 > /proc/sys/kernel/printk_ratelimit"
        return Boot(f"mistake-{name}", machine, [quiet, *lines], append="", timeout=150, mistake=True)

    ordinary = [boot(name, f"insmod /kmm_record.ko exp=mistake name={name}", "sleep 1") for name in MISTAKES.split()]
    hog = boot("oom_user", load("mistake", "oom_prep", arg1=9000), "tail /dev/zero & wait", "dmesg | tail -1")
    return [*ordinary, hog]
