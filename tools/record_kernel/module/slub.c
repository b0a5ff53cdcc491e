// SPDX-License-Identifier: GPL-2.0-only
/* exp=slub: one cache of our own; a story (prof=1) or a random walk of allocations and frees.
 * arg1 size, arg2 alignment, arg3 flags by number; mtp=1: freelists in address order. */
#include "slab_layout.h"

#define MOST_KEPT 1024

static void **objects;
static int nr_objects;

static void allocate(struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = cache_cpu(s, smp_processor_id());
	struct kmem_cache_node *node = cache_node(s);
	long slabs = atomic_long_read(&node->nr_slabs);
	void *object = kmem_cache_alloc(s, GFP_NOWAIT);
	struct slab *slab;

	if (!object) {
		out("[\"a\",-1,-1]\n");
		return;
	}
	slab = slab_of(object);
	if (atomic_long_read(&node->nr_slabs) > slabs)
		out_new_slab(s, slab, object, c->slab == slab ? c->freelist : slab->freelist);
	out("[\"a\",%lu,%d,", slab_pfn(slab), object_index(s, slab, object));
	out_slab_counters(s, smp_processor_id());
	out("]\n");
	objects[nr_objects++] = object;
}

static void release(struct kmem_cache *s, void *object)
{
	struct slab *slab = slab_of(object);
	unsigned long pfn = slab_pfn(slab);	/* the slab may be gone afterwards */
	int index = object_index(s, slab, object);

	kmem_cache_free(s, object);
	out("[\"f\",%lu,%d,", pfn, index);
	out_slab_counters(s, smp_processor_id());
	out("]\n");
}

static void release_any(struct kmem_cache *s, int which)
{
	void *object = objects[which];

	objects[which] = objects[--nr_objects];
	release(s, object);
}

static void release_in_order(struct kmem_cache *s, int which)
{
	void *object = objects[which];

	nr_objects--;
	memmove(objects + which, objects + which + 1, (nr_objects - which) * sizeof(*objects));
	release(s, object);
}

static void fill_slabs(struct kmem_cache *s, int slabs)
{
	while (nr_objects < slabs * (int)oo_objects(s->oo) && nr_objects < cap)
		allocate(s);
}

static void free_one_of_each(struct kmem_cache *s, int slabs)
{
	int i, at = 0;

	for (i = 0; i < slabs && nr_objects > 0; i++) {
		release_in_order(s, min(nr_objects - 1, at));
		at += oo_objects(s->oo) - 1;
		if (i % 4 == 3)
			dump_cache(s, "one-each", i);
	}
	dump_cache(s, "one-each", i);
}

static void free_all(struct kmem_cache *s, const char *tag, bool oldest_first)
{
	int i;

	for (i = 0; nr_objects > 0; i++) {
		if (oldest_first)
			release_in_order(s, 0);
		else
			release_any(s, nr_objects - 1);
		if (i % (oo_objects(s->oo) * 4) == 0)
			dump_cache(s, tag, i);
	}
}

static void story(struct kmem_cache *s, int slabs)
{
	int i;

	out("{\"k\":\"note\",\"text\":\"fill %d slabs\"}\n", slabs);
	fill_slabs(s, slabs);
	dump_cache(s, "filled", 1);
	out_note("free one object of each slab, in slab order");
	free_one_of_each(s, slabs);
	out("{\"k\":\"note\",\"text\":\"allocate %d again\"}\n", slabs * 2);
	for (i = 0; i < slabs * 2 && nr_objects < cap; i++)
		allocate(s);
	dump_cache(s, "refill", 2);
	out_note("free all, oldest first");
	free_all(s, "fifo", true);
	dump_cache(s, "empty", 3);
	out_note("fill again, free newest first");
	fill_slabs(s, slabs);
	dump_cache(s, "filled", 4);
	free_all(s, "lifo", false);
	dump_cache(s, "empty", 5);
}

static void release_by(struct kmem_cache *s, int policy)
{
	if (policy == 1)
		release_in_order(s, 0);
	else
		release_any(s, policy == 0 ? nr_objects - 1 : chance_below(nr_objects));
}

static void walk(struct kmem_cache *s)
{
	static const int percents[] = { 97, 92, 85, 60, 50, 40, 15, 8, 3 };
	static const struct moods moods = { 20, 500, 4, ARRAY_SIZE(percents), percents };
	struct mood mood = {};
	int i, dumps = 1;

	for (i = 0; i < nops; i++) {
		mood_step(&mood, &moods);
		if (nr_objects && (nr_objects >= cap || chance_below(100) >= mood.allocate))
			release_by(s, mood.policy);
		else
			allocate(s);
		if (dint && i / dint >= dumps) {
			dump_cache(s, "mid", i);
			dumps = i / dint + 1;
		}
	}
	dump_cache(s, "full", nops);
	while (nr_objects)
		release_any(s, chance_below(nr_objects));
	dump_cache(s, "empty", nops);
}

/* The empty slabs that a cache keeps: when it shrinks, it is these pages that are freed. */
static int kept_slabs(struct kmem_cache *s, unsigned long *pfns, int most)
{
	struct kmem_cache_cpu *c = cache_cpu(s, smp_processor_id());
	struct slab *slab;
	int n = 0;

	if (c->slab)
		pfns[n++] = slab_pfn(c->slab);
	for (slab = c->partial; slab && n < most; slab = slab->next)
		pfns[n++] = slab_pfn(slab);
	list_for_each_entry(slab, &cache_node(s)->partial, slab_list)
		if (n < most)
			pfns[n++] = slab_pfn(slab);
	return n;
}

static void shrink(struct kmem_cache *s)
{
	kmem_cache_shrink(s);		/* sleeps: interrupts are on */
	preempt_disable();
	dump_cache(s, "shrunk", 0);
	preempt_enable();
}

static void out_cache(struct kmem_cache *s)
{
	out("{\"k\":\"cache\",\"flagname\":\"%s\",\"want_align\":%d,\"seqfl\":%d,\"conf\":",
	    slab_flags[arg3].name, arg2, mtp);
	dump_cache_layout(s);
	out("}\n");
}

static void record(struct kmem_cache *s)
{
	static unsigned long kept[MOST_KEPT];
	unsigned long flags;

	out_cache(s);
	local_irq_save(flags);
	if (dint >= 0)		/* so that the slabs' page frames can be checked too */
		dump_zones("start", 0, true, ALL_ZONES);
	dump_cache(s, "start", 0);
	events_on = ev;
	if (prof == 1)
		story(s, fill);
	else
		walk(s);
	events_only_of(kept, kept_slabs(s, kept, MOST_KEPT));
	local_irq_restore(flags);
	if (arg3 < 3)
		shrink(s);
	events_on = 0;
	events_only_of(NULL, 0);
}

int exp_slub(void)
{
	struct kmem_cache *s;
	char cache_name[40];

	if (slab_layout_check() || arg3 < 0 || arg3 >= ARRAY_SIZE(slab_flags))
		return -EINVAL;
	snprintf(cache_name, sizeof(cache_name), "mmt-%s-%d", name, arg1);
	s = kmem_cache_create(cache_name, arg1, arg2, slab_flags[arg3].flags | SLAB_NO_MERGE, NULL);
	if (!s)
		return -ENOMEM;
	objects = vmalloc(sizeof(*objects) * (cap + 16));
	if (objects) {
		if (mtp)
			order_freelists(s);
		record(s);
		if (mtp)
			shuffle_freelists(s);
	}
	kmem_cache_destroy(s);
	vfree(objects);
	return objects ? 0 : -ENOMEM;
}
