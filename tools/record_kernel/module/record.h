/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the recorder share: parameters, output, chance, tracepoints, dumps. */
#ifndef RECORD_H
#define RECORD_H

#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/page-flags.h>
#include <linux/pageblock-flags.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

/* The parameters: main.c says what each of them means. */
extern char *experiment, *name;
extern int seed, nops, omin, omax, prof, mtp, wmp, pcpmode, ev, dint, cap, zmod, fill;
extern int arg1, arg2, arg3, ballast;

/* output.c: records, a line of JSON each, to QEMU's debug console */
int out_init(void);
void out_exit(void);
void out_flush(void);
__printf(1, 2) void out(const char *format, ...);
void out_string(const char *text);		/* in quotes, escaped */
void out_raw(const char *bytes, size_t size);
void out_comma(bool *first);			/* a comma, but not before the first one */
void out_number(bool *first, unsigned long number);
void out_note(const char *text);

/* chance.c: one seeded stream of numbers, and what a random walk is in the mood for */
struct mood {
	int left;			/* so many steps more */
	int allocate;			/* percent */
	int policy;			/* which object to free; each walk has its own meaning for it */
};
struct moods {				/* to choose from */
	int shortest, longest, policies, nr_percents;
	const int *percents;
};
void chance_seed(u64 seed);
u64 chance(void);
u32 chance_below(u32 n);
bool mood_step(struct mood *mood, const struct moods *moods);	/* true: it changed */

/* symbols.c: what the kernel does not export */
int symbols_init(void);
void *symbol(const char *name);

/* tracepoints.c: events to record now; parameter ev is such a mask */
#define EV_EXTFRAG	1		/* mm_page_alloc_extfrag */
#define EV_PCP		2		/* mm_page_alloc_zone_locked, mm_page_pcpu_drain */
#define EV_PAGES	4		/* mm_page_alloc, mm_page_free */
#define EV_VMAP		8		/* alloc_vmap_area, free_vmap_area_noflush, purge_vmap_area_lazy */
extern int events_on;
void events_only_of(const unsigned long *pfns, int n);	/* leave out what others do; n = 0: everything again */
void tracepoints_init(void);
void tracepoints_exit(void);

/* for_each_populated_zone() calls functions that are not exported */
#define for_each_zone_in_use(zone, nid, i)						\
	for_each_online_node(nid)							\
		for (i = 0; i < MAX_NR_ZONES; i++)					\
			if (!populated_zone((zone) = &NODE_DATA(nid)->node_zones[i]))	\
				continue;						\
			else

/* zones.c: the page allocator's whole state, and its per-CPU lists */
#define ALL_ZONES	(-1)
int migratetype_of(unsigned long pfn);
void dump_zones(const char *tag, int n, bool with_lru, int only_zone);
void pcp_drain(void);
void pcp_prepare(void);			/* as parameter pcpmode says: switch them off, or drain them */
void pcp_restore(void);

/* calls.c: a call to the page allocator, and its record */
#define NOWAIT		(GFP_NOWAIT | __GFP_NOWARN)
struct held {
	u32 pfn, order;
};
struct page *recorded_alloc(gfp_t gfp, int order);
void recorded_free(unsigned long pfn, int order);
bool hold_page(gfp_t gfp, int order);	/* false: out of memory */
void release_page(int which);
int hold_init(int limit);
void hold_exit(void);
extern struct held *held;
extern int nr_held;

/* The experiments; main.c has them by name. */
int exp_buddy(void);
int exp_script(void);
int exp_drain(void);
int exp_zones(void);
int exp_smp(void);
int exp_slub(void);
int exp_kmallocseq(void);
int exp_kmalloc(void);
int exp_kcache(void);
int exp_caches(void);
int exp_gfp(void);
int exp_consts(void);
int exp_vmalloc(void);
int exp_stacks(void);
int exp_mistake(void);
#endif
