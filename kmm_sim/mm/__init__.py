# SPDX-License-Identifier: GPL-2.0-only
"""What Linux keeps in ``mm/``, file for file; where a file of Linux is too long, by concept.

    page.py        struct page, page frame numbers, addresses     include/linux/mm_types.h
    page_flags.py  page->flags                                    include/linux/page-flags.h
    gfp.py         what a caller allows the allocator to do       include/linux/gfp_types.h
    mmzone.py      free lists, zones, the node                    include/linux/mmzone.h
    internal.py    alloc_flags, the allocator's private notes     mm/internal.h
    memory.py      the bytes themselves
    events.py      what the allocator tells                       include/trace/events/kmem.h
    vmstat.py      counting free pages                            mm/vmstat.c
    buddy.py       splitting and merging blocks                   mm/page_alloc.c
    watermark.py   how low a zone may run                         mm/page_alloc.c
    fallback.py    taking from another migratetype                mm/page_alloc.c
    pcp.py         per-CPU page lists                             mm/page_alloc.c
    highatomic.py  a reserve for urgent requests                  mm/page_alloc.c
    bad_page.py    what the kernel notices of a broken caller     mm/page_alloc.c, mm/debug.c
    page_ref.py    references to pages                            include/linux/mm.h
    sysctl.py      the knobs of /proc/sys/vm                      mm/page_alloc.c
    sched.py       who asks, and whether he may sleep             include/linux/sched/mm.h
    freelist.py    finding a zone, taking a block                 mm/page_alloc.c
    slowpath.py    what is tried when there is none               mm/page_alloc.c
    vmscan.py      reclaim                                        mm/vmscan.c
    compaction.py  moving pages together                          mm/compaction.c
    oom_kill.py    the OOM killer                                 mm/oom_kill.c
    show_mem.py    how memory stands, for the log                 mm/show_mem.c
    page_alloc.py  asking for pages, giving them back             mm/page_alloc.c
    slab_events.py what a slab allocator tells                    include/trace/events/kmem.h
    slab_common.py caches: creating, merging, destroying them     mm/slab_common.c
    kmalloc.py     objects of any size                            mm/slab_common.c, mm/slub.c
    slub_def.py    how large an object and a slab become          mm/slub.c
    slub_debug.py  red zones, poison, tracks, reports             mm/slub.c
    slub_broken.py what comes of a freelist that was broken       mm/slub.c
    slub.py        a slab for each CPU                            mm/slub.c
    sheaf.py       arrays of free objects (7.0)                   mm/slub.c
    sheaves.py     two of them for each CPU, a barn of them       mm/slub.c
    slab.py        three lists, arrays, colours (2.6.34)          mm/slab.c
    slob.py        first fit (6.1)                                mm/slob.c
    kernel_caches.py  task_struct, inodes and others              kernel/fork.c, fs/inode.c
    rbtree.py      red-black trees                                lib/rbtree.c
    vmap_area.py   where in the address space there is room       mm/vmalloc.c
    vmap_node.py   addresses in use, waiting, in pools            mm/vmalloc.c
    pgtable.py     page tables                                    mm/vmalloc.c
    tlb.py         what a CPU remembers of them
    vmalloc.py     memory contiguous in addresses only            mm/vmalloc.c
    ioremap.py     the memory of devices                          arch/x86/mm/ioremap.c
    oops.py        what is written of an address that is none     arch/x86/mm/fault.c
    fault.py       touching memory where none is mapped           arch/x86/mm/fault.c
    stack.py       kernel stacks                                  kernel/fork.c
    percpu.py      the same variable once for each CPU            mm/percpu.c
    mempool.py     elements put aside for bad times               mm/mempool.c
"""
