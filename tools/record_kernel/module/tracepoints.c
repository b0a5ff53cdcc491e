// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's own tracepoints, each as a record. */
#include "record.h"
#include <linux/tracepoint.h>

int events_on;

static const unsigned long *ours;
static int nr_ours;

/* With interrupts on, others take and free pages too. */
void events_only_of(const unsigned long *pfns, int n)
{
	ours = pfns;
	nr_ours = n;
}

static bool is_ours(unsigned long pfn)
{
	int i;

	for (i = 0; i < nr_ours; i++)
		if (ours[i] == pfn)
			return true;
	return !nr_ours;
}

static void on_extfrag(void *data, struct page *page, int alloc_order, int fallback_order,
		       int alloc_migratetype, int fallback_migratetype)
{
	unsigned long pfn = page_to_pfn(page);

	if (events_on & EV_EXTFRAG)
		out("[\"X\",%lu,%d,%d,%d,%d,%d]\n", pfn, alloc_order, fallback_order, alloc_migratetype,
		    fallback_migratetype, alloc_migratetype == migratetype_of(pfn));
}

static void on_zone_locked(void *data, struct page *page, unsigned int order, int migratetype, int refill)
{
	if (events_on & EV_PCP)
		out("[\"L\",%lu,%u,%d,%d]\n", page ? page_to_pfn(page) : -1ul, order, migratetype, refill);
}

static void on_pcpu_drain(void *data, struct page *page, unsigned int order, int migratetype)
{
	if (events_on & EV_PCP)
		out("[\"R\",%lu,%u,%d]\n", page_to_pfn(page), order, migratetype);
}

static void on_page_alloc(void *data, struct page *page, unsigned int order, gfp_t gfp, int migratetype)
{
	if (events_on & EV_PAGES && !nr_ours)
		out("[\"P\",%ld,%u,%u,%d]\n", page ? (long)page_to_pfn(page) : -1l, order, (unsigned int)gfp,
		    migratetype);
}

static void on_page_free(void *data, struct page *page, unsigned int order)
{
	if (events_on & EV_PAGES && is_ours(page_to_pfn(page)))
		out("[\"Q\",%lu,%u]\n", page_to_pfn(page), order);
}

static void on_alloc_vmap_area(void *data, unsigned long addr, unsigned long size, unsigned long align,
			       unsigned long vstart, unsigned long vend, int failed)
{
	if (events_on & EV_VMAP)
		out("[\"va\",%lu,%lu,%lu,%d,%d,%d]\n", addr - VMALLOC_START, size, align,
		    vstart == VMALLOC_START, vend == VMALLOC_END, failed);
}

static void on_free_vmap_area(void *data, unsigned long addr, unsigned long lazy, unsigned long limit)
{
	if (events_on & EV_VMAP)
		out("[\"vf\",%lu,%lu,%lu]\n", addr - VMALLOC_START, lazy, limit);
}

static void on_purge(void *data, unsigned long start, unsigned long end, unsigned int areas)
{
	if (events_on & EV_VMAP)
		out("[\"vp\",%u]\n", areas);
}

static struct {
	const char *name;
	void *probe;
	struct tracepoint *tracepoint;
} tracepoints[] = {
	{ "mm_page_alloc_extfrag", on_extfrag },
	{ "mm_page_alloc_zone_locked", on_zone_locked },
	{ "mm_page_pcpu_drain", on_pcpu_drain },
	{ "mm_page_alloc", on_page_alloc },
	{ "mm_page_free", on_page_free },
	{ "alloc_vmap_area", on_alloc_vmap_area },
	{ "free_vmap_area_noflush", on_free_vmap_area },
	{ "purge_vmap_area_lazy", on_purge },
};

static void find(struct tracepoint *tracepoint, void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(tracepoints); i++)
		if (!strcmp(tracepoint->name, tracepoints[i].name))
			tracepoints[i].tracepoint = tracepoint;
}

void tracepoints_init(void)
{
	int i;

	for_each_kernel_tracepoint(find, NULL);
	for (i = 0; i < ARRAY_SIZE(tracepoints); i++) {
		struct tracepoint *found = tracepoints[i].tracepoint;

		if (!found || tracepoint_probe_register(found, tracepoints[i].probe, NULL)) {
			pr_err("kmm_record: no tracepoint %s\n", tracepoints[i].name);
			tracepoints[i].tracepoint = NULL;
		}
	}
}

void tracepoints_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(tracepoints); i++)
		if (tracepoints[i].tracepoint)
			tracepoint_probe_unregister(tracepoints[i].tracepoint, tracepoints[i].probe, NULL);
	tracepoint_synchronize_unregister();
}
