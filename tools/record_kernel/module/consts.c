// SPDX-License-Identifier: GPL-2.0-only
/* exp=consts: constants, the layout of struct page, page flags, zones, zonelists and sysctls. */
#include "record.h"
#include <asm/pgtable.h>
#include <linux/io.h>
#include <linux/thread_info.h>

#define CONSTANT(expression) out_constant(#expression, (long long)(expression))

static void out_constant(const char *name, long long value)
{
	out("{\"k\":\"c\",\"n\":\"%s\",\"v\":%lld}\n", name, value);
}

static void out_pages(void)
{
	CONSTANT(PAGE_SIZE);
	CONSTANT(PAGE_SHIFT);
	CONSTANT(THREAD_SIZE);
	CONSTANT(THREAD_SIZE_ORDER);
	CONSTANT(MAX_PAGE_ORDER);
	CONSTANT(NR_PAGE_ORDERS);
	CONSTANT(pageblock_order);
	CONSTANT(pageblock_nr_pages);
	CONSTANT(PAGE_ALLOC_COSTLY_ORDER);
}

static void out_migratetypes(void)
{
	CONSTANT(MIGRATE_UNMOVABLE);
	CONSTANT(MIGRATE_MOVABLE);
	CONSTANT(MIGRATE_RECLAIMABLE);
	CONSTANT(MIGRATE_PCPTYPES);
	CONSTANT(MIGRATE_HIGHATOMIC);
	CONSTANT(MIGRATE_ISOLATE);
	CONSTANT(MIGRATE_TYPES);
}

static void out_zones(void)
{
	CONSTANT(ZONE_DMA);
	CONSTANT(ZONE_DMA32);
	CONSTANT(ZONE_NORMAL);
	CONSTANT(ZONE_MOVABLE);
#ifdef CONFIG_ZONE_DEVICE
	CONSTANT(ZONE_DEVICE);
#endif
	CONSTANT(MAX_NR_ZONES);
	CONSTANT(NR_PCP_LISTS);
	CONSTANT(NR_LOWORDER_PCP_LISTS);
	CONSTANT(WMARK_MIN);
	CONSTANT(WMARK_LOW);
	CONSTANT(WMARK_HIGH);
	CONSTANT(WMARK_PROMO);
	CONSTANT(CONFIG_PCP_BATCH_SCALE_MAX);
}

static void out_kmalloc(void)
{
	CONSTANT(KMALLOC_MIN_SIZE);
	CONSTANT(KMALLOC_SHIFT_LOW);
	CONSTANT(KMALLOC_SHIFT_HIGH);
	CONSTANT(KMALLOC_SHIFT_MAX);
	CONSTANT(KMALLOC_MAX_SIZE);
	CONSTANT(KMALLOC_MAX_CACHE_SIZE);
	CONSTANT(KMALLOC_MAX_ORDER);
	CONSTANT(NR_KMALLOC_TYPES);
	CONSTANT(KMALLOC_NORMAL);
	CONSTANT(KMALLOC_DMA);
	CONSTANT(KMALLOC_RECLAIM);
	CONSTANT(KMALLOC_CGROUP);
	CONSTANT(ARCH_KMALLOC_MINALIGN);
	CONSTANT(ARCH_SLAB_MINALIGN);
	CONSTANT(L1_CACHE_BYTES);
	CONSTANT(cache_line_size());
}

static void out_struct_sizes(void)
{
	CONSTANT(sizeof(struct page));
	CONSTANT(sizeof(struct zone));
	CONSTANT(sizeof(struct pglist_data));
	CONSTANT(sizeof(struct per_cpu_pages));
	CONSTANT(sizeof(struct folio));
	CONSTANT(sizeof(struct vm_struct));
	CONSTANT(sizeof(struct vmap_area));
}

static void out_page_offsets(void)
{
	CONSTANT(offsetof(struct page, flags));
	CONSTANT(offsetof(struct page, lru));
	CONSTANT(offsetof(struct page, buddy_list));
	CONSTANT(offsetof(struct page, pcp_list));
	CONSTANT(offsetof(struct page, mapping));
	CONSTANT(offsetof(struct page, index));
	CONSTANT(offsetof(struct page, private));
	CONSTANT(offsetof(struct page, compound_head));
	CONSTANT(offsetof(struct page, _mapcount));
	CONSTANT(offsetof(struct page, page_type));
	CONSTANT(offsetof(struct page, _refcount));
	CONSTANT(offsetof(struct page, memcg_data));
}

static void out_page_flags(void)
{
	CONSTANT(PG_locked);
	CONSTANT(PG_writeback);
	CONSTANT(PG_referenced);
	CONSTANT(PG_uptodate);
	CONSTANT(PG_dirty);
	CONSTANT(PG_lru);
	CONSTANT(PG_head);
	CONSTANT(PG_waiters);
	CONSTANT(PG_active);
	CONSTANT(PG_workingset);
	CONSTANT(PG_owner_priv_1);
	CONSTANT(PG_private);
	CONSTANT(PG_private_2);
	CONSTANT(PG_reserved);
	CONSTANT(PG_reclaim);
	CONSTANT(PG_swapbacked);
	CONSTANT(PG_unevictable);
	CONSTANT(PG_mlocked);
	CONSTANT(__NR_PAGEFLAGS);
	CONSTANT(PAGE_FLAGS_CHECK_AT_FREE);
	CONSTANT(PAGE_FLAGS_CHECK_AT_PREP);
	CONSTANT(PGTY_buddy);
	CONSTANT(PGTY_slab);
	CONSTANT(PGTY_offline);
	CONSTANT(PGTY_table);
	CONSTANT(PGTY_guard);
	CONSTANT(PGTY_hugetlb);
	CONSTANT(PGTY_mapcount_underflow);
}

static void out_page_flag_fields(void)
{
	CONSTANT(SECTIONS_PGSHIFT);
	CONSTANT(NODES_PGSHIFT);
	CONSTANT(ZONES_PGSHIFT);
	CONSTANT(ZONES_WIDTH);
	CONSTANT(NODES_WIDTH);
	CONSTANT(SECTIONS_WIDTH);
	CONSTANT(LAST_CPUPID_WIDTH);
	CONSTANT(PAGES_PER_SECTION);
	CONSTANT(SECTION_SIZE_BITS);
	CONSTANT(MAX_PHYSMEM_BITS);
}

static void out_vmalloc(void)
{
	CONSTANT(VMALLOC_END - VMALLOC_START + 1);
	CONSTANT(VM_IOREMAP);
	CONSTANT(VM_ALLOC);
	CONSTANT(VM_MAP);
	CONSTANT(VM_USERMAP);
	CONSTANT(VM_NO_GUARD);
	CONSTANT(IOREMAP_MAX_ORDER);
	CONSTANT(THREAD_ALIGN);
	CONSTANT(PMD_SIZE);
	CONSTANT(HPAGE_PMD_ORDER);
}

static void out_slab_flags(void)
{
	CONSTANT(SLAB_CONSISTENCY_CHECKS);
	CONSTANT(SLAB_RED_ZONE);
	CONSTANT(SLAB_POISON);
	CONSTANT(SLAB_KMALLOC);
	CONSTANT(SLAB_HWCACHE_ALIGN);
	CONSTANT(SLAB_CACHE_DMA);
	CONSTANT(SLAB_STORE_USER);
	CONSTANT(SLAB_PANIC);
	CONSTANT(SLAB_TYPESAFE_BY_RCU);
	CONSTANT(SLAB_ACCOUNT);
	CONSTANT(SLAB_RECLAIM_ACCOUNT);
	CONSTANT(SLAB_NO_MERGE);
}

static void out_constants(void)
{
	out_pages();
	out_migratetypes();
	out_zones();
	out_kmalloc();
	out_struct_sizes();
	out_page_offsets();
	out_page_flags();
	out_page_flag_fields();
	out_vmalloc();
	out_slab_flags();
}

static void out_addresses(void)
{
	out("{\"k\":\"hex\",\"VMALLOC_START\":\"%lx\",\"VMALLOC_END\":\"%lx\",\"PAGE_OFFSET\":\"%lx\",",
	    VMALLOC_START, VMALLOC_END, PAGE_OFFSET);
	out("\"VMEMMAP_START\":\"%lx\",\"MODULES_VADDR\":\"%lx\",\"high_memory\":\"%lx\"}\n",
	    VMEMMAP_START, MODULES_VADDR, (unsigned long)high_memory);
}

static void out_page_flag_names(void)
{
	static char text[512];
	int bit;

	for (bit = 0; bit < __NR_PAGEFLAGS; bit++) {
		unsigned long flag = 1ul << bit;

		snprintf(text, sizeof(text), "%pGp", &flag);
		out("{\"k\":\"pgflag\",\"bit\":%d,\"text\":\"%s\"}\n", bit, text);
	}
}

static void out_zones_of(int nid)
{
	int i;

	for (i = 0; i < MAX_NR_ZONES; i++) {
		struct zone *zone = &NODE_DATA(nid)->node_zones[i];

		out("{\"k\":\"z\",\"node\":%d,\"i\":%d,\"name\":\"%s\",\"start\":%lu,", nid, i, zone->name,
		    zone->zone_start_pfn);
		out("\"spanned\":%lu,\"present\":%lu,\"managed\":%lu}\n", zone->spanned_pages,
		    zone->present_pages, zone_managed_pages(zone));
	}
}

static void out_zonelist(int nid)
{
	struct zoneref *ref = NODE_DATA(nid)->node_zonelists[0]._zonerefs;
	bool first = true;

	out("{\"k\":\"zonelist\",\"node\":%d,\"order\":[", nid);
	for (; ref->zone; ref++) {
		out_comma(&first);
		out("[%d,\"%s\"]", zone_to_nid(ref->zone), ref->zone->name);
	}
	out("]}\n");
}

static int int_at(const char *name)
{
	return *(int *)symbol(name);
}

static void out_sysctls(void)
{
	out("{\"k\":\"sysctl\",\"min_free_kbytes\":%d,\"watermark_scale_factor\":%d,",
	    int_at("min_free_kbytes"), int_at("watermark_scale_factor"));
	out("\"watermark_boost_factor\":%d,\"page_group_by_mobility_disabled\":%d}\n",
	    int_at("watermark_boost_factor"), int_at("page_group_by_mobility_disabled"));
}

int exp_consts(void)
{
	int nid;

	out_constants();
	out_addresses();
	out_page_flag_names();
	for_each_online_node(nid)
		out_zones_of(nid);
	for_each_online_node(nid)
		out_zonelist(nid);
	out_sysctls();
	return 0;
}
