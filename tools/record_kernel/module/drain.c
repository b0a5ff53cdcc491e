// SPDX-License-Identifier: GPL-2.0-only
/* exp=drain: empty zone arg2 with one mask until it is refused: where do the watermarks bite? */
#include "record.h"

#define MOST_BLOCKS 140000

static const struct mask {
	gfp_t gfp;
	const char *name;
	bool sleeps;		/* interrupts stay on: reclaim can run, and the answers depend on it */
} masks[] = {
	{ GFP_NOWAIT | __GFP_NOWARN, "GFP_NOWAIT" },
	{ __GFP_NOWARN, "0" },
	{ GFP_ATOMIC | __GFP_NOWARN, "GFP_ATOMIC" },
	{ GFP_ATOMIC | __GFP_NOMEMALLOC | __GFP_NOWARN, "GFP_ATOMIC|__GFP_NOMEMALLOC" },
	{ __GFP_HIGH | __GFP_NOWARN, "__GFP_HIGH" },
	{ GFP_NOWAIT | __GFP_NOMEMALLOC | __GFP_NOWARN, "GFP_NOWAIT|__GFP_NOMEMALLOC" },
	{ GFP_ATOMIC | __GFP_MEMALLOC | __GFP_NOWARN, "GFP_ATOMIC|__GFP_MEMALLOC" },
	{ GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN, "GFP_KERNEL|__GFP_NORETRY", true },
	{ GFP_KERNEL | __GFP_HIGH | __GFP_NORETRY | __GFP_NOWARN, "GFP_KERNEL|__GFP_HIGH|__GFP_NORETRY", true },
};

/* The record has the counters the watermark test was about to see. */
static void take_until_refused(gfp_t gfp, struct zone *zone)
{
	struct per_cpu_zonestat *stat = per_cpu_ptr(zone->per_cpu_zonestats, 0);
	struct per_cpu_pages *pcp = per_cpu_ptr(zone->per_cpu_pageset, 0);

	while (nr_held < MOST_BLOCKS) {
		long free = atomic_long_read(&zone->vm_stat[NR_FREE_PAGES]);
		long diff = stat->vm_stat_diff[NR_FREE_PAGES];
		int count = pcp->count;
		struct page *page = alloc_pages(gfp, omin);

		out("[\"A\",%u,%d,%ld,%ld,%ld,%d]\n", (unsigned int)gfp, omin,
		    page ? (long)page_to_pfn(page) : -1l, free, diff, count);
		if (!page)
			return;
		held[nr_held++] = (struct held){ page_to_pfn(page), omin };
	}
}

static void drain_with(int n)
{
	int only_zone = zmod == (int)__GFP_DMA ? ZONE_DMA : ALL_ZONES;
	const struct mask *mask = &masks[n];
	gfp_t gfp = mask->gfp | (zmod >= 0 ? zmod : 0);
	int events = mask->sleeps ? 0 : ev;
	unsigned long flags;

	local_irq_save(flags);
	pcp_prepare();
	out("{\"k\":\"drain\",\"mask\":\"%s\",\"gfp\":%u,\"order\":%d,\"irqs\":%d}\n",
	    mask->name, (unsigned int)gfp, omin, mask->sleeps);
	dump_zones("start", n, true, only_zone);
	events_on = events;
	if (mask->sleeps)
		local_irq_restore(flags);
	take_until_refused(gfp, &NODE_DATA(0)->node_zones[arg2]);
	if (mask->sleeps)
		local_irq_save(flags);
	dump_zones("exhausted", n, false, only_zone);
	while (nr_held)
		release_page(nr_held - 1);
	events_on = 0;
	dump_zones("end", n, false, only_zone);
	pcp_restore();
	local_irq_restore(flags);
}

/* arg1: which mask, or all of them if it is negative */
int exp_drain(void)
{
	int i;

	if (hold_init(MOST_BLOCKS))
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		if (arg1 >= 0 && i != arg1)
			continue;
		msleep(20);
		drain_with(i);
	}
	hold_exit();
	return 0;
}
