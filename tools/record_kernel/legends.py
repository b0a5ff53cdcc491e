# SPDX-License-Identifier: GPL-2.0-only
"""What the records of each kind of recording mean: the header of a recording says it, to whoever opens the file."""

LEGENDS = {
    "buddy": {
        "A": '["A",gfp,order,pfn|-1] alloc_pages',
        "F": '["F",pfn,order] __free_pages',
        "X": (
            '["X",pfn,alloc_order,fallback_order,alloc_mt,fallback_mt,owned] tracepoint mm_page_alloc_extfrag '
            "(before the A it belongs to)"
        ),
        "L": '["L",pfn,order,mt,percpu_refill] tracepoint mm_page_alloc_zone_locked',
        "R": '["R",pfn,order,mt] tracepoint mm_page_pcpu_drain',
        "P": '["P",pfn,order,gfp,mt] tracepoint mm_page_alloc',
        "Q": '["Q",pfn,order] tracepoint mm_page_free',
        "dump": (
            "complete state of the zones: free = [order, migratetype, [pfn in list order, head first]]; blocks = "
            "one letter per pageblock from start&~511 (U M E=reclaimable H=highatomic I=isolate); wm = "
            "min,low,high,promo; boost; lowmem = lowmem_reserve[]; zflags = zone->flags (bit0 BOOSTED, bit1 "
            "RECLAIM_ACTIVE, bit2 BELOW_HIGH); free_global/free_diff/stat_thr = vm_stat[NR_FREE_PAGES], this CPU's "
            "not yet folded part, threshold; hi_res/hi_free = nr_reserved_highatomic/nr_free_highatomic; lru = "
            "[pfn,count] ranges of LRU or movable pages (start dump only); pcp lists: index = "
            "MIGRATE_PCPTYPES*order+mt for order 0..3, 12 = THP order unmovable+reclaimable, 13 = THP movable; head"
            " first"
        ),
        "note": "interrupts and preemption off from the start dump to the end dump: nothing else touches the zones",
    },
    "slub": {
        "a": (
            '["a",slab_pfn,object_index,cpu_slab_pfn|-1,cpu_partial_slabs,nr_partial,nr_slabs] '
            "kmem_cache_alloc(GFP_NOWAIT); counters after the call"
        ),
        "f": "same, kmem_cache_free",
        "N": '["N",slab_pfn,order,[object indexes in freelist order as built]] a new slab page (before its a)',
        "P/Q": "page allocator tracepoints",
        "sdump": "complete state; cpu_partial and partial lists head first; fl = freelist object indexes",
        "seqfl": "1: random_seq cleared, freelists in address order as with CONFIG_SLAB_FREELIST_RANDOM=n",
        "dump": "zones at the start, so that slab page PFNs can be checked through the buddy model",
    },
    "kmallocseq": {
        "k": '["k",size,cache,slab_pfn,object_index] kmalloc(GFP_NOWAIT)',
        "kf": '["kf",slab_pfn,index] kfree',
        "K": '["K",size,pfn,order] large kmalloc',
        "kF": '["kF",pfn,order]',
        "N": "new slab as in slub",
    },
    "vmalloc": {
        "va": (
            '["va",addr-VMALLOC_START,size incl. guard,align,vstart==VMALLOC_START,vend==VMALLOC_END,failed] '
            "tracepoint alloc_vmap_area"
        ),
        "vf": '["vf",addr,lazy pages after,max] free_vmap_area_noflush',
        "vp": '["vp",areas] purge_vmap_area_lazy',
        "vmalloc": '["vmalloc",bytes,addr,area_size,nr_pages,[pfns]]',
        "vfree": '["vfree",addr,kind]',
        "getvm": '["getvm",pages,vm_flags,addr,area_size] get_vm_area',
        "vdump": (
            "free = [start,size] inside the vmalloc range; tree = whole free rb-tree "
            "[va_start,va_end,black,left,right]; per node busy, lazylist [start,size,flags], pools"
        ),
    },
    "smp": {
        "A/F": "as buddy, plus the CPU as last element",
        "a/f": "as slub, plus the CPU",
        "dump": "pcp0,pcp1 and free_diffs per CPU",
        "note": "stop_machine on all CPUs; they take turns",
    },
    "drain": {
        "A": '["A",gfp,order,pfn,free_global before,free_diff before,pcp count before]',
        "note": (
            "allocate with one mask until NULL, then free newest first; irqs:1 sections run with interrupts on "
            "(direct reclaim, kswapd possible)"
        ),
    },
}
LEGENDS["script"] = LEGENDS["buddy"]
