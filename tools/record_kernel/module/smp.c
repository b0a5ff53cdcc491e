// SPDX-License-Identifier: GPL-2.0-only
/* exp=smp: CPUs taking turns.  stop_machine() keeps all of them here with interrupts off.
 * arg1=0: pages; otherwise slab objects of that size (mtp=1: freelists in address order). */
#include "slab_layout.h"
#include <linux/stop_machine.h>

#define NOBODY	(-1)

static atomic_t turn, steps, finished;
static struct kmem_cache *cache;
static struct held *blocks;
static void **objects;
static int nr;
static struct mood mood;

static bool frees(int longest, const int *percents)
{
	const struct moods moods = { 20, longest, 3, 7, percents };

	mood_step(&mood, &moods);
	return nr && (nr >= cap || chance_below(100) >= mood.allocate);
}

static int which_to_free(void)
{
	return mood.policy == 0 ? nr - 1 : chance_below(nr);
}

static void free_block(int cpu)
{
	int which = which_to_free();
	struct held block = blocks[which];

	blocks[which] = blocks[--nr];
	out("[\"F\",%u,%u,%d]\n", block.pfn, block.order, cpu);
	__free_pages(pfn_to_page(block.pfn), block.order);
}

static void allocate_block(int cpu)
{
	u32 roll = chance_below(10);
	int order = min((int)__ffs(chance() | 1 << 9), omax);
	gfp_t gfp = NOWAIT | (roll < 4 ? 0 : roll < 7 ? __GFP_MOVABLE : __GFP_RECLAIMABLE) | (zmod > 0 ? zmod : 0);
	struct page *page = alloc_pages(gfp, order);

	out("[\"A\",%u,%d,%ld,%d]\n", (unsigned int)gfp, order, page ? (long)page_to_pfn(page) : -1l, cpu);
	if (page)
		blocks[nr++] = (struct held){ page_to_pfn(page), order };
}

static void out_object(char what, unsigned long pfn, int index, int cpu)
{
	out("[\"%c\",%lu,%d,", what, pfn, index);
	out_slab_counters(cache, cpu);
	out(",%d]\n", cpu);
}

static void free_object(int cpu)
{
	int which = which_to_free();
	void *object = objects[which];
	struct slab *slab = slab_of(object);
	unsigned long pfn = slab_pfn(slab);
	int index = object_index(cache, slab, object);

	objects[which] = objects[--nr];
	kmem_cache_free(cache, object);
	out_object('f', pfn, index, cpu);
}

static void allocate_object(int cpu)
{
	long slabs = atomic_long_read(&cache_node(cache)->nr_slabs);
	void *object = kmem_cache_alloc(cache, GFP_NOWAIT);
	struct slab *slab;

	if (!object)
		return;
	slab = slab_of(object);
	if (atomic_long_read(&cache_node(cache)->nr_slabs) > slabs)
		out_new_slab(cache, slab, object, cache_cpu(cache, cpu)->freelist);
	out_object('a', slab_pfn(slab), object_index(cache, slab, object), cpu);
	objects[nr++] = object;
}

static void one_call(int cpu)
{
	static const int of_pages[] = { 95, 80, 60, 50, 40, 20, 5 }, of_objects[] = { 97, 90, 60, 50, 40, 10, 3 };

	if (cache) {
		if (frees(400, of_objects))
			free_object(cpu);
		else
			allocate_object(cpu);
	} else {
		if (frees(200, of_pages))
			free_block(cpu);
		else
			allocate_block(cpu);
	}
}

static void dump(const char *tag, int n)
{
	dump_zones(tag, n, n == 0, ALL_ZONES);
	if (!cache)
		return;
	if (n == 0) {
		out("{\"k\":\"cache\",\"conf\":");
		dump_cache_layout(cache);
		out("}\n");
	}
	dump_cache_of_every_cpu(cache, tag, n);
}

static void one_turn(int cpu)
{
	int step = atomic_inc_return(&steps), calls = 1 + chance_below(8);

	if (step > nops) {
		atomic_set(&finished, 1);
		return;
	}
	while (calls--)
		one_call(cpu);
	if (dint && step % dint == 0)
		dump("mid", step);
	atomic_set(&turn, chance_below(num_online_cpus()));
}

static int on_every_cpu(void *unused)
{
	int cpu = smp_processor_id();

	if (cpu == 0) {
		dump("start", 0);
		atomic_set(&turn, 0);
	}
	while (!atomic_read(&finished)) {
		if (atomic_read(&turn) == cpu)
			one_turn(cpu);
		else
			cpu_relax();
	}
	return 0;
}

static void free_everything(void)
{
	while (nr) {
		nr--;
		if (cache)
			kmem_cache_free(cache, objects[nr]);
		else
			__free_pages(pfn_to_page(blocks[nr].pfn), blocks[nr].order);
	}
}

static void record(void)
{
	if (cache && mtp)
		order_freelists(cache);
	migratetype_of(1);
	msleep(20);
	atomic_set(&turn, NOBODY);
	events_on = ev;
	stop_machine(on_every_cpu, NULL, cpu_online_mask);
	events_on = 0;
	free_everything();
	if (cache && mtp)
		shuffle_freelists(cache);
}

int exp_smp(void)
{
	char cache_name[32];

	if (arg1 && slab_layout_check())
		return -EINVAL;
	blocks = vmalloc(sizeof(*blocks) * (cap + 64));
	objects = vmalloc(sizeof(*objects) * (cap + 64));
	if (arg1) {
		snprintf(cache_name, sizeof(cache_name), "mmt-smp-%d", arg1);
		cache = kmem_cache_create(cache_name, arg1, 0, SLAB_NO_MERGE, NULL);
	}
	if (blocks && objects && !arg1 == !cache)
		record();
	kmem_cache_destroy(cache);
	vfree(objects);
	vfree(blocks);
	return 0;
}
