// SPDX-License-Identifier: GPL-2.0-only
/* exp=script: short stories, with a dump after every step.  arg1 chooses the story. */
#include "record.h"

#define MOST_BLOCKS	512
#define MOST_SHAKEN	400

static unsigned long taken[MOST_BLOCKS];
static int dumps, only_zone;
static gfp_t gfp;

static void dump(const char *tag)
{
	dump_zones(tag, dumps++, false, only_zone);
}

static void take(int i, gfp_t modifiers, int order)
{
	struct page *page = recorded_alloc(gfp | modifiers, order);

	taken[i] = page ? page_to_pfn(page) : 0;
}

static void give_back(int i, int order)
{
	if (taken[i])
		recorded_free(taken[i], order);
}

static void take_and_dump(const char *tag, int i, gfp_t modifiers, int order)
{
	take(i, modifiers, order);
	dump(tag);
}

static void give_back_and_dump(const char *tag, int i, int order)
{
	give_back(i, order);
	dump(tag);
}

static void one_page_splits_a_block(void)
{
	out_note("1: one order-0 page splits the smallest free block; free it again and it coalesces back");
	take_and_dump("s1", 0, 0, 0);
	give_back_and_dump("s1", 0, 0);
}

static void every_order_once(void)
{
	int i;

	out_note("2: take every order 0..10 once, free in the same order");
	for (i = 0; i <= 10; i++)
		take_and_dump("s2", i, 0, i);
	for (i = 0; i <= 10; i++)
		give_back_and_dump("s2", i, i);
	out_note("3: take orders 10..0, free in reverse");
	for (i = 10; i >= 0; i--)
		take_and_dump("s3", i, 0, i);
	for (i = 0; i <= 10; i++)
		give_back_and_dump("s3", i, i);
}

static void even_then_odd(void)
{
	int i;

	out_note("4: sixteen order-0 pages in a row; free even ones, then odd ones (no coalescing until the odd ones)");
	for (i = 0; i < 16; i++)
		take(i, 0, 0);
	dump("s4");
	for (i = 0; i < 16; i += 2)
		give_back_and_dump("s4", i, 0);
	for (i = 1; i < 16; i += 2)
		give_back_and_dump("s4", i, 0);
}

static void head_or_tail(void)
{
	static const int first[] = { 0, 1, 2, 5, 6 }, rest[] = { 10, 11, 12, 3, 4, 7 };
	int i;

	out_note("5: head or tail: buddy_merge_likely. Take 8 pages, free 0 and 1 (merge), then 2 (its order-1 neighbour is free), then 5, 6");
	for (i = 0; i < 8; i++)
		take(i, 0, 0);
	dump("s5");
	for (i = 0; i < ARRAY_SIZE(first); i++)
		give_back_and_dump("s5", first[i], 0);
	out_note("   next three order-0 allocations show which one comes first");
	for (i = 10; i < 13; i++)
		take_and_dump("s5", i, 0, 0);
	for (i = 0; i < ARRAY_SIZE(rest); i++)
		give_back(rest[i], 0);
	dump("s5");
}

static void last_in_first_out(void)
{
	int i;

	out_note("6: LIFO reuse of an order-3 block");
	for (i = 0; i < 4; i++)
		take(i, 0, 3);
	dump("s6");
	give_back(1, 3);
	give_back_and_dump("s6", 3, 3);
	take(1, 0, 3);
	take_and_dump("s6", 3, 0, 3);
	for (i = 0; i < 4; i++)
		give_back(i, 3);
	dump("s6");
}

static void split_and_merge(void)
{
	one_page_splits_a_block();
	every_order_once();
	even_then_odd();
	head_or_tail();
	last_in_first_out();
}

static void each_type_in_turn(void)
{
	static const gfp_t types[] = { 0, __GFP_MOVABLE, __GFP_RECLAIMABLE };
	int i;

	out_note("migratetypes: unmovable, movable, reclaimable in turn; fallback claims a whole pageblock (X events)");
	for (i = 0; i < 6; i++)
		take_and_dump("m1", i, types[i % 3], i % 5);
	for (i = 0; i < 6; i++)
		give_back_and_dump("m1", i, i % 5);
}

static void exhaust_unmovable(void)
{
	int i, n;

	out_note("exhaust unmovable order-8 until NULL, free all");
	for (n = 0; n < 64; n++) {
		take(n, 0, 8);
		if (!taken[n])
			break;
	}
	dump("m2");
	for (i = 0; i < n; i++)
		give_back(i, 8);
	dump("m2");
}

static void two_types_interleaved(void)
{
	int i;

	out_note("movable order-0 burst then unmovable order-0 burst, freed interleaved");
	for (i = 0; i < 128; i++)
		take(i, i < 64 ? __GFP_MOVABLE : 0, 0);
	dump("m3");
	for (i = 0; i < 128; i += 2)
		give_back(i, 0);
	dump("m3");
	for (i = 1; i < 128; i += 2)
		give_back(i, 0);
	dump("m3");
}

static void migratetypes(void)
{
	each_type_in_turn();
	exhaust_unmovable();
	two_types_interleaved();
}

static void pcp_fills_and_drains(void)
{
	int i;

	out_note("pcp: 300 order-0 allocations in a row then 300 frees, dump every 10");
	for (i = 0; i < 300; i++) {
		take(i, 0, 0);
		if (i % 10 == 9)
			dump("p1");
	}
	for (i = 0; i < 300; i++) {
		give_back(i, 0);
		if (i % 10 == 9)
			dump("p1");
	}
	out_note("pcp: order-3 100 times then freed in reverse");
	for (i = 0; i < 100; i++) {
		take(i, 0, 3);
		if (i % 10 == 9)
			dump("p2");
	}
	for (i = 99; i >= 0; i--) {
		give_back(i, 3);
		if (i % 10 == 0)
			dump("p2");
	}
}

static void pcp_of_huge_pages(void)
{
	int i;

	out_note("pcp: THP order 9, unmovable/movable/reclaimable share two lists");
	take(0, 0, 9);
	take(1, __GFP_MOVABLE, 9);
	take_and_dump("p3", 2, __GFP_RECLAIMABLE, 9);
	for (i = 0; i < 3; i++)
		give_back_and_dump("p3", i, 9);
	take_and_dump("p3", 0, 0, 9);
	take_and_dump("p3", 1, 0, 9);
	take_and_dump("p3", 2, __GFP_MOVABLE, 9);
	for (i = 0; i < 3; i++)
		give_back(i, 9);
	dump("p3");
}

static void per_cpu_lists(void)
{
	int i;

	pcp_fills_and_drains();
	pcp_of_huge_pages();
	out_note("pcp: ping-pong of one page");
	for (i = 0; i < 5; i++) {
		take(0, 0, 0);
		give_back(0, 0);
	}
	dump("p4");
	out_note("drain_local_pages: all lists back to buddy");
	out("[\"DRAIN\"]\n");
	pcp_drain();
	dump("p5");
}

static void one_bulk(int wanted)
{
	struct page **pages = (struct page **)taken;
	bool first = true;
	unsigned long got, i;

	memset(taken, 0, sizeof(taken));
	got = alloc_pages_bulk_array(gfp, wanted, pages);
	out("[\"B\",%u,%d,[", (unsigned int)gfp, wanted);
	for (i = 0; i < got; i++)
		out_number(&first, page_to_pfn(pages[i]));
	out("]]\n");
	dump("b");
	for (i = 0; i < got; i++)
		recorded_free(page_to_pfn(pages[i]), 0);
	dump("b");
}

static void one_exact(int pages)
{
	size_t size = (size_t)pages << PAGE_SHIFT;
	void *address = alloc_pages_exact(size, gfp);
	long pfn = address ? (long)page_to_pfn(virt_to_page(address)) : -1l;

	out("[\"E\",%u,%d,%ld]\n", (unsigned int)gfp, pages, pfn);
	dump("e");
	if (address) {
		out("[\"FE\",%ld,%d]\n", pfn, pages);
		free_pages_exact(address, size);
	}
	dump("e");
}

static void bulk_and_exact(void)
{
	static const int bulks[] = { 1, 5, 64, 100, 300 }, exacts[] = { 3, 5, 9, 33, 100 };
	int i;

	out_note("alloc_pages_bulk_array: sizes 1, 5, 64, 100, 300 (order-0, one pcp lock)");
	for (i = 0; i < ARRAY_SIZE(bulks); i++)
		one_bulk(bulks[i]);
	out_note("alloc_pages_exact: 3, 5, 9, 33, 100 pages: split to order 0 and the tail freed page by page from the end");
	for (i = 0; i < ARRAY_SIZE(exacts); i++)
		one_exact(exacts[i]);
}

/* Before the first dump, so not recorded: arg2 seeded allocations, half of them freed again, so that the
 * same story starts from other free lists.  The rest is freed after the last dump. */
static void shake(void)
{
	int i;

	for (i = 0; i < arg2 && nr_held < MOST_SHAKEN; i++) {
		int order = chance_below(5);
		struct page *page = alloc_pages(gfp | (chance_below(2) ? __GFP_MOVABLE : 0), order);

		if (page)
			held[nr_held++] = (struct held){ page_to_pfn(page), order };
	}
	for (i = 0; i < arg2 / 2 && nr_held; i++) {
		int which = chance_below(nr_held);

		__free_pages(pfn_to_page(held[which].pfn), held[which].order);
		held[which] = held[--nr_held];
	}
}

static void free_shaken(void)
{
	while (nr_held) {
		nr_held--;
		__free_pages(pfn_to_page(held[nr_held].pfn), held[nr_held].order);
	}
}

int exp_script(void)
{
	static void (*const stories[])(void) = {
		split_and_merge, migratetypes, per_cpu_lists, bulk_and_exact,
	};
	unsigned long flags;

	if (arg1 < 0 || arg1 >= ARRAY_SIZE(stories))
		return -EINVAL;
	if (hold_init(MOST_SHAKEN))
		return -ENOMEM;
	gfp = NOWAIT | (zmod >= 0 ? zmod : 0);
	only_zone = zmod == (int)__GFP_DMA ? ZONE_DMA : ALL_ZONES;
	msleep(20);
	local_irq_save(flags);
	if (pcpmode == 1)
		pcp_prepare();
	shake();
	if (pcpmode == 2)
		pcp_prepare();
	dump_zones("start", 0, true, only_zone);
	dumps = 1;
	events_on = ev;
	stories[arg1]();
	events_on = 0;
	dump("end");
	free_shaken();
	pcp_restore();
	local_irq_restore(flags);
	hold_exit();
	return 0;
}
