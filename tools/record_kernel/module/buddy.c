// SPDX-License-Identifier: GPL-2.0-only
/* exp=buddy: a random walk of alloc_pages() and __free_pages(), interrupts off from dump to dump. */
#include "record.h"

#define MOST_BALLAST 600

static struct held ballast_blocks[MOST_BALLAST];
static int nr_ballast;

static struct zone *zone_of_node0(int index)
{
	return &NODE_DATA(0)->node_zones[index];
}

static long free_pages_of(struct zone *zone)
{
	return atomic_long_read(&zone->vm_stat[NR_FREE_PAGES]);
}

static int geometric_order(void)
{
	return omin + (int)__ffs(chance() | (1ull << 40)) % (omax - omin + 1);
}

static int choose_order(void)
{
	int span = omax - omin + 1;

	switch (prof) {
	case 1:
		return omin + chance_below(span);
	case 2:
		return chance_below(100) < 80 ? omin : geometric_order();
	case 3:
		if (chance_below(4))
			return omin + min((int)chance_below(3), span - 1);
		return omin + chance_below(span);
	default:
		return geometric_order();
	}
}

/* How deep into the reserves the mask may go */
static gfp_t choose_urgency(void)
{
	static const gfp_t atomic[] = {
		NOWAIT, NOWAIT, NOWAIT, NOWAIT, NOWAIT,
		GFP_ATOMIC | __GFP_NOWARN, GFP_ATOMIC | __GFP_NOWARN, GFP_ATOMIC | __GFP_NOWARN,
		__GFP_HIGH | __GFP_NOWARN, __GFP_NOWARN,
	};
	static const gfp_t every[] = {
		NOWAIT, NOWAIT, NOWAIT, NOWAIT,
		GFP_ATOMIC | __GFP_NOWARN, GFP_ATOMIC | __GFP_NOWARN, GFP_ATOMIC | __GFP_NOWARN,
		__GFP_HIGH | __GFP_NOWARN, GFP_ATOMIC | __GFP_NOMEMALLOC | __GFP_NOWARN,
		NOWAIT | __GFP_NOMEMALLOC, __GFP_MEMALLOC | __GFP_HIGH | __GFP_NOWARN, __GFP_NOWARN,
	};

	switch (wmp) {
	case 1:
		return atomic[chance_below(ARRAY_SIZE(atomic))];
	case 2:
		return every[chance_below(ARRAY_SIZE(every))];
	default:
		return NOWAIT;
	}
}

static gfp_t choose_migratetype(void)
{
	u32 roll;

	switch (mtp) {
	case 1:
		return __GFP_MOVABLE;
	case 2:
		roll = chance_below(10);
		return roll < 4 ? 0 : roll < 7 ? __GFP_MOVABLE : __GFP_RECLAIMABLE;
	case 3:
		return __GFP_RECLAIMABLE;
	case 4:
		return chance_below(10) < 7 ? __GFP_MOVABLE : 0;
	default:
		return 0;
	}
}

static gfp_t choose_zone(void)
{
	u32 roll;

	if (zmod >= 0)
		return zmod;
	roll = chance_below(10);
	return roll < 6 ? 0 : roll < 8 ? __GFP_DMA32 : roll < 9 ? __GFP_DMA : __GFP_HIGHMEM;
}

/* Masks that may sleep: only while the fast path is sure to succeed, as interrupts are off. */
static gfp_t or_one_that_may_sleep(gfp_t gfp, int order)
{
	static const gfp_t masks[] = {
		GFP_KERNEL, GFP_KERNEL, GFP_KERNEL, GFP_USER, GFP_HIGHUSER, GFP_HIGHUSER_MOVABLE,
		GFP_HIGHUSER_MOVABLE, GFP_NOFS, GFP_NOIO, GFP_KERNEL | __GFP_ZERO,
		GFP_KERNEL | __GFP_COMP, GFP_KERNEL | __GFP_RECLAIMABLE, GFP_NOFS | __GFP_RECLAIMABLE,
		GFP_USER | __GFP_DMA32, GFP_KERNEL | __GFP_NORETRY, GFP_KERNEL | __GFP_RETRY_MAYFAIL,
	};
	gfp_t sleeping = masks[chance_below(ARRAY_SIZE(masks))];
	struct zone *zone;

	if (order > PAGE_ALLOC_COSTLY_ORDER)
		return gfp;
	zone = zone_of_node0(gfp_zone(sleeping));
	while (!populated_zone(zone))
		zone--;
	if (zone_idx(zone) == ZONE_DMA || free_pages_of(zone) < (long)high_wmark_pages(zone) + 6000)
		return gfp;
	return sleeping;
}

static bool allocate_something(void)
{
	int order = choose_order();
	gfp_t gfp = choose_urgency();

	gfp |= choose_migratetype();
	gfp |= choose_zone();
	if (wmp == 3)
		gfp = or_one_that_may_sleep(gfp, order);
	return hold_page(gfp, order);
}

/* Take big blocks first, until zone arg2 has only that many pages: then the walk is near its watermarks. */
static void take_ballast(void)
{
	static const gfp_t migratetypes[] = { 0, __GFP_MOVABLE, __GFP_RECLAIMABLE };
	struct zone *zone = zone_of_node0(arg2);
	int order = MAX_PAGE_ORDER;

	while (order >= 0 && nr_ballast < MOST_BALLAST) {
		gfp_t gfp = NOWAIT | (zmod >= 0 ? zmod : 0) | migratetypes[nr_ballast % 3];
		struct page *page;

		if (free_pages_of(zone) - (1l << order) < ballast) {
			order--;
			continue;
		}
		page = recorded_alloc(gfp, order);
		if (page)
			ballast_blocks[nr_ballast++] = (struct held){ page_to_pfn(page), order };
		else
			order--;
	}
}

static void drop_ballast(void)
{
	while (nr_ballast) {
		struct held *block = &ballast_blocks[--nr_ballast];

		recorded_free(block->pfn, block->order);
	}
}

static int which_to_free(int policy)
{
	if (policy == 0)
		return nr_held - 1;
	return policy == 1 ? 0 : chance_below(nr_held);
}

/* After a failure: returns how many were freed. */
static int free_a_burst(void)
{
	int n = 1 + chance_below(min(nr_held, 40)), freed = 0;

	for (; freed < n && nr_held; freed++)
		release_page(chance_below(nr_held));
	return freed;
}

static int walk(int only_zone)
{
	static const int percents[] = { 90, 75, 60, 50, 50, 40, 25, 10 };
	static const struct moods moods = { 30, 300, 4, ARRAY_SIZE(percents), percents };
	struct mood mood = {};
	int i, dumps = 1;

	for (i = 0; i < nops; i++) {
		if (mood_step(&mood, &moods) && !nr_held)
			mood.allocate = 90;
		if (nr_held && (nr_held >= cap || chance_below(100) >= mood.allocate))
			release_page(which_to_free(mood.policy));
		else if (!allocate_something() && nr_held && chance_below(100) < fill)
			i += free_a_burst();
		if (dint && i / dint >= dumps) {
			dump_zones("mid", i, false, only_zone);
			dumps = i / dint + 1;
		}
	}
	return i;
}

int exp_buddy(void)
{
	int steps, only_zone = zmod == (int)__GFP_DMA ? ZONE_DMA : ALL_ZONES;
	unsigned long flags;

	if (hold_init(cap + 16))
		return -ENOMEM;
	msleep(20);
	local_irq_save(flags);
	pcp_prepare();
	dump_zones("start", 0, true, only_zone);
	events_on = ev;
	if (ballast > 0) {
		take_ballast();
		dump_zones("ballast", 0, false, only_zone);
	}
	steps = walk(only_zone);
	dump_zones("full", steps, false, only_zone);
	for (; nr_held; steps++)
		release_page(chance_below(nr_held));
	drop_ballast();
	events_on = 0;
	dump_zones("end", steps, false, only_zone);
	pcp_restore();
	local_irq_restore(flags);
	hold_exit();
	return 0;
}
