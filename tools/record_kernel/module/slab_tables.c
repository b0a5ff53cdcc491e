// SPDX-License-Identifier: GPL-2.0-only
/* exp=caches, kcache, kmalloc: layouts, and where kmalloc() of each size comes from. */
#include "slab_layout.h"
#include <linux/mutex.h>

/* Every cache of the running system */
int exp_caches(void)
{
	struct list_head *caches = symbol("slab_caches");
	struct mutex *slab_mutex = symbol("slab_mutex");
	struct kmem_cache *s;

	if (slab_layout_check())
		return -EINVAL;
	mutex_lock(slab_mutex);
	list_for_each_entry_reverse(s, caches, list) {
		out("{\"k\":\"conf\",\"conf\":");
		dump_cache_layout(s);
		out("}\n");
	}
	mutex_unlock(slab_mutex);
	return 0;
}

static void constructor(void *object) { }

static void layout_row(int size, int align, int flag, bool with_constructor)
{
	static int made;
	struct kmem_cache *s;
	char cache_name[40];

	snprintf(cache_name, sizeof(cache_name), "mmg-%d", made++);
	s = kmem_cache_create(cache_name, size, align, slab_flags[flag].flags | SLAB_NO_MERGE,
			      with_constructor ? constructor : NULL);
	out("[%d,%d,\"%s\",%d,", size, align, slab_flags[flag].name, with_constructor);
	if (!s) {
		out("null]\n");
		return;
	}
	out("%u,%u,%u,%u,%u,", s->size, s->align, s->offset, s->inuse, s->red_left_pad);
	out("%u,%u,%u,%u,", oo_order(s->oo), oo_objects(s->oo), oo_order(s->min), oo_objects(s->min));
	out("%u,%u,%lu]\n", s->cpu_partial, s->cpu_partial_slabs, s->min_partial);
	kmem_cache_destroy(s);
}

static int next_size(int size)
{
	return size + (size < 72 ? 1 : size < 1024 ? 11 : size < 4096 ? 67 : size < 8192 ? 257 : 1021);
}

static void rows_of_size(int size)
{
	int flag;

	layout_row(size, 0, 0, false);
	if (arg2)
		return;
	layout_row(size, 0, 1, false);
	layout_row(size, 0, 3, false);
	if (size % 3 == 0)
		layout_row(size, 0, 0, true);
	if (size < 600 || size % 5 == 0)
		for (flag = 5; flag < ARRAY_SIZE(slab_flags); flag++)
			layout_row(size, 0, flag, false);
}

/* Layouts by size, alignment and flags.  arg1: which half of the sizes; arg2=1: sizes only */
int exp_kcache(void)
{
	static const int aligns[] = { 16, 32, 64, 128, 256, 512, 1024, 4096 };
	int size, i;

	if (slab_layout_check())
		return -EINVAL;
	out("{\"k\":\"cols\",\"cols\":[\"object_size\",\"want_align\",\"flags\",\"ctor\",\"size\",\"align\",\"offset\",");
	out("\"inuse\",\"red_left_pad\",\"order\",\"objs\",\"min_order\",\"min_objs\",");
	out("\"cpu_partial\",\"cpu_partial_slabs\",\"min_partial\"]}\n");
	for (size = 1; size <= 40960; size = next_size(size))
		if ((size ^ (size >> 3)) % 2 == arg1)
			rows_of_size(size);
	for (i = 0; i < ARRAY_SIZE(aligns) && !arg2; i++)
		for (size = 8 + arg1 * 4; size < 9000; size += 8 + size / 3) {
			layout_row(size, aligns[i], 0, false);
			layout_row(size, aligns[i], 1, false);
		}
	return 0;
}

/* A run of sizes with the same answer is one row. */
struct bucket {
	size_t from, to, ksize, rounded;
	char name[64];
	int align;			/* as a power of two, the least that was seen */
};

static struct bucket kmalloc_bucket(size_t size, gfp_t gfp)
{
	void *object = kmalloc(size, gfp | __GFP_NOWARN);
	struct bucket b = { .from = size, .to = size, .rounded = kmalloc_size_roundup(size), .name = "NULL" };

	b.align = __ffs((unsigned long)object | (1ul << 40));
	if (!object)
		return b;
	b.ksize = ksize(object);
	if (folio_test_slab(virt_to_folio(object)))
		strscpy(b.name, slab_of(object)->slab_cache->name, sizeof(b.name));
	else
		snprintf(b.name, sizeof(b.name), "pages-order-%d", folio_order(virt_to_folio(object)));
	kfree(object);
	return b;
}

static void out_bucket(const char *mask, const struct bucket *b)
{
	if (b->from)
		out("[\"%s\",%zu,%zu,\"%s\",%zu,%zu,%d]\n", mask, b->from, b->to, b->name, b->ksize, b->rounded,
		    b->align);
}

static void kmalloc_row(struct bucket *row, const char *mask, size_t size, gfp_t gfp)
{
	struct bucket b = kmalloc_bucket(size, gfp);

	if (row->from && !strcmp(b.name, row->name) && b.ksize == row->ksize && b.rounded == row->rounded) {
		row->to = size;
		row->align = min(row->align, b.align);
		return;
	}
	out_bucket(mask, row);
	*row = b;
}

static void kmalloc_rows(const char *mask, gfp_t gfp, bool large)
{
	struct bucket row = {};
	size_t size;

	for (size = 1; size <= 16400; size++)
		kmalloc_row(&row, mask, size, gfp);
	for (size = 32768; size <= (1 << 22) + 8192 && large; size += size < 70000 ? 1024 : 4096) {
		kmalloc_row(&row, mask, size - 1, gfp);
		kmalloc_row(&row, mask, size, gfp);
		kmalloc_row(&row, mask, size + 1, gfp);
	}
	out_bucket(mask, &row);
}

int exp_kmalloc(void)
{
	static const struct {
		const char *name;
		gfp_t gfp;
	} masks[] = {
		{ "GFP_KERNEL", GFP_KERNEL },
		{ "GFP_KERNEL|__GFP_RECLAIMABLE", GFP_KERNEL | __GFP_RECLAIMABLE },
		{ "GFP_KERNEL|__GFP_DMA", GFP_KERNEL | __GFP_DMA },
		{ "GFP_KERNEL_ACCOUNT", GFP_KERNEL_ACCOUNT },
		{ "GFP_KERNEL|__GFP_DMA|__GFP_RECLAIMABLE", GFP_KERNEL | __GFP_DMA | __GFP_RECLAIMABLE },
		{ "GFP_KERNEL_ACCOUNT|__GFP_RECLAIMABLE", GFP_KERNEL_ACCOUNT | __GFP_RECLAIMABLE },
	};
	int i;

	if (slab_layout_check())
		return -EINVAL;
	out("{\"k\":\"cols\",\"cols\":[\"gfp\",\"from\",\"to\",\"bucket\",\"ksize\",\"size_roundup\",\"min_addr_align_log2_seen\"]}\n");
	for (i = 0; i < ARRAY_SIZE(masks); i++)
		kmalloc_rows(masks[i].name, masks[i].gfp, i < 3);
	out("{\"k\":\"zero\",\"ZERO_SIZE_PTR\":%lu,\"kmalloc0\":%lu}\n",
	    (unsigned long)ZERO_SIZE_PTR, (unsigned long)kmalloc(0, GFP_KERNEL));
	return 0;
}
