// SPDX-License-Identifier: GPL-2.0-only
/* exp=kmallocseq: a random walk of kmalloc() and kfree() of many sizes, on the kernel's own caches. */
#include "slab_layout.h"

#define MOST_CACHES 40

static struct {
	struct kmem_cache *cache;
	long slabs;
} seen[MOST_CACHES];
static int nr_seen;
static void **objects;
static int nr_objects;

static bool is_kmalloc_cache(struct kmem_cache *s)
{
	return !strncmp(s->name, "kmalloc-", 8) && s->name[8] >= '0' && s->name[8] <= '9';
}

static bool grew(struct kmem_cache *s)
{
	long before, now = atomic_long_read(&cache_node(s)->nr_slabs);
	int i;

	for (i = 0; i < nr_seen; i++)
		if (seen[i].cache == s) {
			before = seen[i].slabs;
			seen[i].slabs = now;
			return now > before;
		}
	return false;
}

static void dump_start(struct list_head *caches)
{
	struct kmem_cache *s;

	dump_zones("start", 0, true, ALL_ZONES);
	nr_seen = 0;
	list_for_each_entry_reverse(s, caches, list) {
		if (!is_kmalloc_cache(s) || nr_seen == MOST_CACHES)
			continue;
		out("{\"k\":\"cache\",\"conf\":");
		dump_cache_layout(s);
		out("}\n");
		dump_cache(s, "start", 0);
		seen[nr_seen].cache = s;
		seen[nr_seen++].slabs = atomic_long_read(&cache_node(s)->nr_slabs);
	}
}

static void release(int which)
{
	void *object = objects[which];
	struct folio *folio = virt_to_folio(object);
	struct slab *slab = slab_of(object);
	struct kmem_cache *s = folio_test_slab(folio) ? slab->slab_cache : NULL;

	objects[which] = objects[--nr_objects];
	if (s)
		out("[\"kf\",%lu,%d]\n", folio_pfn(folio), object_index(s, slab, object));
	else
		out("[\"kF\",%lu,%d]\n", folio_pfn(folio), folio_order(folio));
	kfree(object);
	if (s)
		grew(s);
}

static size_t choose_size(void)
{
	u64 bits;

	if (!chance_below(20))
		return 8193 + chance_below(60000);
	bits = chance();
	return 1 + (bits & ((1 << (3 + chance_below(10))) - 1));
}

static void allocate(void)
{
	size_t size = choose_size();
	void *object = kmalloc(size, GFP_NOWAIT);
	struct folio *folio;
	struct slab *slab;

	if (!object) {
		out("[\"k\",%zu,null]\n", size);
		return;
	}
	folio = virt_to_folio(object);
	slab = slab_of(object);
	if (folio_test_slab(folio)) {
		struct kmem_cache *s = slab->slab_cache;

		if (grew(s))
			out_new_slab(s, slab, object, cache_cpu(s, smp_processor_id())->freelist);
		out("[\"k\",%zu,\"%s\",%lu,%d]\n", size, s->name, folio_pfn(folio), object_index(s, slab, object));
	} else {
		out("[\"K\",%zu,%lu,%d]\n", size, folio_pfn(folio), folio_order(folio));
	}
	objects[nr_objects++] = object;
}

static void walk(void)
{
	static const int percents[] = { 95, 80, 60, 50, 40, 20, 5 };
	static const struct moods moods = { 20, 200, 3, ARRAY_SIZE(percents), percents };
	struct mood mood = {};
	int i;

	for (i = 0; i < nops; i++) {
		mood_step(&mood, &moods);
		if (nr_objects && (nr_objects >= cap || chance_below(100) >= mood.allocate))
			release(mood.policy == 0 ? nr_objects - 1 : chance_below(nr_objects));
		else
			allocate();
	}
	while (nr_objects)
		release(chance_below(nr_objects));
}

int exp_kmallocseq(void)
{
	struct list_head *caches = symbol("slab_caches");
	struct kmem_cache *s;
	unsigned long flags;

	if (slab_layout_check())
		return -EINVAL;
	objects = vmalloc(sizeof(*objects) * (cap + 16));
	if (!objects)
		return -ENOMEM;
	msleep(20);
	migratetype_of(1);
	local_irq_save(flags);
	dump_start(caches);
	events_on = ev;
	walk();
	events_on = 0;
	list_for_each_entry_reverse(s, caches, list)
		if (is_kmalloc_cache(s))
			dump_cache(s, "end", 0);
	local_irq_restore(flags);
	vfree(objects);
	return 0;
}
