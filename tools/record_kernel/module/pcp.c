// SPDX-License-Identifier: GPL-2.0-only
/* The per-CPU lists out of the way: limits of zero and a batch of one, as zone_pcp_disable() has it. */
#include "record.h"

#define MOST_NODES 4

static struct limits {
	int high_min, high_max, batch;
} saved[MOST_NODES][MAX_NR_ZONES];

static struct per_cpu_pages *pcp_of(struct zone *zone)
{
	return per_cpu_ptr(zone->per_cpu_pageset, smp_processor_id());
}

void pcp_drain(void)
{
	void (*drain_local_pages)(struct zone *zone) = symbol("drain_local_pages");

	drain_local_pages(NULL);
}

static void pcp_disable(void)
{
	struct zone *zone;
	int nid, i;

	for_each_zone_in_use(zone, nid, i) {
		struct per_cpu_pages *pcp = pcp_of(zone);

		saved[zone_to_nid(zone)][zone_idx(zone)] =
			(struct limits){ pcp->high_min, pcp->high_max, pcp->batch };
		pcp->high_min = pcp->high_max = 0;
		pcp->batch = 1;
	}
	pcp_drain();
}

void pcp_prepare(void)
{
	if (pcpmode == 1)
		pcp_disable();
	if (pcpmode == 2)
		pcp_drain();
}

void pcp_restore(void)
{
	struct zone *zone;
	int nid, i;

	if (pcpmode != 1)
		return;
	for_each_zone_in_use(zone, nid, i) {
		struct per_cpu_pages *pcp = pcp_of(zone);
		struct limits *limits = &saved[zone_to_nid(zone)][zone_idx(zone)];

		pcp->high_min = limits->high_min;
		pcp->high_max = limits->high_max;
		pcp->batch = limits->batch;
	}
}
