// SPDX-License-Identifier: GPL-2.0-only
/* The page allocator's state as one record: each zone's free lists, pageblocks, watermarks, counters. */
#include "record.h"

int migratetype_of(unsigned long pfn)
{
	static unsigned long (*get_flags)(const struct page *page, unsigned long pfn, unsigned long mask);

	if (!get_flags)
		get_flags = symbol("get_pfnblock_flags_mask");
	return get_flags(pfn_to_page(pfn), pfn, MIGRATETYPE_MASK);
}

static void dump_pcp(struct zone *zone, int cpu, const char *key)
{
	struct per_cpu_pages *pcp = per_cpu_ptr(zone->per_cpu_pageset, cpu);
	bool first_list = true;
	struct page *page;
	int i;

	out("\"%s\":{\"count\":%d,\"high\":%d,\"high_min\":%d,\"high_max\":%d,\"batch\":%d,",
	    key, pcp->count, pcp->high, pcp->high_min, pcp->high_max, pcp->batch);
	out("\"flags\":%d,\"alloc_factor\":%d,\"free_count\":%d,\"lists\":{",
	    pcp->flags, pcp->alloc_factor, pcp->free_count);
	for (i = 0; i < NR_PCP_LISTS; i++) {
		bool first = true;

		if (list_empty(&pcp->lists[i]))
			continue;
		out_comma(&first_list);
		out("\"%d\":[", i);
		list_for_each_entry(page, &pcp->lists[i], pcp_list)
			out_number(&first, page_to_pfn(page));
		out("]");
	}
	out("}}");
}

static void dump_every_pcp(struct zone *zone)
{
	bool first = true;
	char key[8];
	int cpu;

	dump_pcp(zone, smp_processor_id(), "pcp");
	if (num_online_cpus() == 1)
		return;
	out(",\"free_diffs\":[");
	for_each_online_cpu(cpu) {
		out_comma(&first);
		out("%d", per_cpu_ptr(zone->per_cpu_zonestats, cpu)->vm_stat_diff[NR_FREE_PAGES]);
	}
	out("]");
	for_each_online_cpu(cpu) {
		snprintf(key, sizeof(key), "pcp%d", cpu);
		out(",");
		dump_pcp(zone, cpu, key);
	}
}

static void dump_limits(struct zone *zone)
{
	int i;

	out("\"name\":\"%s\",\"node\":%d,\"idx\":%d,\"start\":%lu,\"spanned\":%lu,\"present\":%lu,\"managed\":%lu,",
	    zone->name, zone_to_nid(zone), (int)zone_idx(zone), zone->zone_start_pfn, zone->spanned_pages,
	    zone->present_pages, zone_managed_pages(zone));
	out("\"wm\":[%lu,%lu,%lu,%lu],\"boost\":%lu,\"lowmem\":[",
	    zone->_watermark[WMARK_MIN], zone->_watermark[WMARK_LOW], zone->_watermark[WMARK_HIGH],
	    zone->_watermark[WMARK_PROMO], zone->watermark_boost);
	for (i = 0; i < MAX_NR_ZONES; i++)
		out(i ? ",%ld" : "%ld", zone->lowmem_reserve[i]);
	out("]");
}

static void dump_counters(struct zone *zone)
{
	struct per_cpu_zonestat *stat = per_cpu_ptr(zone->per_cpu_zonestats, smp_processor_id());
	bool first = true;
	int order;

	out(",\"zflags\":%lu,\"free_global\":%ld,\"free_diff\":%d,\"stat_thr\":%d,",
	    zone->flags, atomic_long_read(&zone->vm_stat[NR_FREE_PAGES]),
	    stat->vm_stat_diff[NR_FREE_PAGES], stat->stat_threshold);
	out("\"hi_res\":%lu,\"hi_free\":%lu,\"nr_free\":[",
	    zone->nr_reserved_highatomic, zone->nr_free_highatomic);
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		out_number(&first, zone->free_area[order].nr_free);
	out("]");
}

static void dump_free_list(bool *first_list, int order, int migratetype, struct list_head *list)
{
	bool first = true;
	struct page *page;

	if (list_empty(list))
		return;
	out_comma(first_list);
	out("[%d,%d,[", order, migratetype);
	list_for_each_entry(page, list, buddy_list)
		out_number(&first, page_to_pfn(page));
	out("]]");
}

static void dump_free_lists(struct zone *zone)
{
	bool first = true;
	int order, migratetype;

	out(",\"free\":[");
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		for (migratetype = 0; migratetype < MIGRATE_TYPES; migratetype++)
			dump_free_list(&first, order, migratetype,
				       &zone->free_area[order].free_list[migratetype]);
	out("]");
}

static void dump_pageblocks(struct zone *zone)
{
	static const char letters[] = "UMEHICXX";
	unsigned long pfn = ALIGN_DOWN(zone->zone_start_pfn, pageblock_nr_pages);

	out(",\"blocks\":\"");
	for (; pfn < zone_end_pfn(zone); pfn += pageblock_nr_pages)
		out("%c", pfn_valid(pfn) ? letters[migratetype_of(pfn) & 7] : '.');
	out("\",");
}

/* What claiming a pageblock counts as movable. */
static bool on_lru_or_movable(unsigned long pfn)
{
	struct page *page;

	if (!pfn_valid(pfn))
		return false;
	page = pfn_to_page(pfn);
	return !PageBuddy(page) && (PageLRU(page) || __PageMovable(page));
}

static void dump_lru_ranges(struct zone *zone)
{
	unsigned long pfn, end = zone_end_pfn(zone), length = 0;
	bool first = true;

	out("\"lru\":[");
	for (pfn = zone->zone_start_pfn; pfn <= end; pfn++) {
		if (pfn < end && on_lru_or_movable(pfn)) {
			length++;
		} else if (length) {
			out_comma(&first);
			out("[%lu,%lu]", pfn - length, length);
			length = 0;
		}
	}
	out("],");
}

static void dump_zone(struct zone *zone, bool with_lru)
{
	unsigned long flags;

	out("{");
	spin_lock_irqsave(&zone->lock, flags);
	dump_limits(zone);
	dump_counters(zone);
	dump_free_lists(zone);
	dump_pageblocks(zone);
	if (with_lru)
		dump_lru_ranges(zone);
	dump_every_pcp(zone);
	spin_unlock_irqrestore(&zone->lock, flags);
	out("}");
}

void dump_zones(const char *tag, int n, bool with_lru, int only_zone)
{
	int events = events_on;
	bool first = true;
	struct zone *zone;
	int nid, i;

	events_on = 0;
	out("{\"k\":\"dump\",\"tag\":\"%s\",\"n\":%d,\"zones\":[", tag, n);
	for_each_zone_in_use(zone, nid, i) {
		if (only_zone != ALL_ZONES && zone_idx(zone) != only_zone)
			continue;
		out_comma(&first);
		dump_zone(zone, with_lru);
	}
	out("]}\n");
	events_on = events;
}

int exp_zones(void)
{
	unsigned long flags;

	migratetype_of(1);
	local_irq_save(flags);
	dump_zones("start", 0, false, ALL_ZONES);
	local_irq_restore(flags);
	return 0;
}
