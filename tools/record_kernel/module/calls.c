// SPDX-License-Identifier: GPL-2.0-only
/* A call to the page allocator and its record, and the blocks that a walk holds. */
#include "record.h"

struct held *held;
int nr_held;

int hold_init(int limit)
{
	nr_held = 0;
	held = vmalloc(sizeof(*held) * limit);
	migratetype_of(1);	/* looks its symbol up: not later, with interrupts off */
	return held ? 0 : -ENOMEM;
}

void hold_exit(void)
{
	vfree(held);
}

struct page *recorded_alloc(gfp_t gfp, int order)
{
	struct page *page = alloc_pages(gfp, order);

	out("[\"A\",%u,%d,%ld]\n", (unsigned int)gfp, order, page ? (long)page_to_pfn(page) : -1l);
	return page;
}

void recorded_free(unsigned long pfn, int order)
{
	out("[\"F\",%lu,%d]\n", pfn, order);
	__free_pages(pfn_to_page(pfn), order);
}

bool hold_page(gfp_t gfp, int order)
{
	struct page *page = recorded_alloc(gfp, order);

	if (page)
		held[nr_held++] = (struct held){ page_to_pfn(page), order };
	return page;
}

void release_page(int which)
{
	struct held block = held[which];

	held[which] = held[--nr_held];
	recorded_free(block.pfn, block.order);
}
