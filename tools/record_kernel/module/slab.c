// SPDX-License-Identifier: GPL-2.0-only
/* What is in a slab cache, as records. */
#include "slab_layout.h"

#define LONGEST_FREELIST 40000

#define DEBUG_FLAGS (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_CONSISTENCY_CHECKS)

const struct slab_flag slab_flags[11] = {
	{ "0", 0 },
	{ "SLAB_HWCACHE_ALIGN", SLAB_HWCACHE_ALIGN },
	{ "SLAB_RECLAIM_ACCOUNT", SLAB_RECLAIM_ACCOUNT },
	{ "SLAB_TYPESAFE_BY_RCU", SLAB_TYPESAFE_BY_RCU },
	{ "SLAB_CACHE_DMA", SLAB_CACHE_DMA },
	{ "SLAB_RED_ZONE", SLAB_RED_ZONE },
	{ "SLAB_POISON", SLAB_POISON },
	{ "SLAB_STORE_USER", SLAB_STORE_USER },
	{ "FZPU", DEBUG_FLAGS },
	{ "SLAB_CONSISTENCY_CHECKS", SLAB_CONSISTENCY_CHECKS },
	{ "SLAB_RED_ZONE|SLAB_POISON", SLAB_RED_ZONE | SLAB_POISON },
};

/* The kernel keeps its own two structs in caches: what it says of their sizes must be what we think. */
int slab_layout_check(void)
{
	struct kmem_cache *caches = *(struct kmem_cache **)symbol("kmem_cache");
	struct kmem_cache *nodes = *(struct kmem_cache **)symbol("kmem_cache_node");
	size_t size = offsetof(struct kmem_cache, node) + nr_node_ids * sizeof(struct kmem_cache_node *);

	if (caches->object_size == size && !strcmp(caches->name, "kmem_cache") &&
	    nodes->object_size == sizeof(struct kmem_cache_node))
		return 0;
	pr_err("kmm_record: slab_layout.h is not how this kernel lays out struct kmem_cache\n");
	return -EINVAL;
}

struct slab *slab_of(const void *object)
{
	return (struct slab *)virt_to_folio(object);
}

static struct folio *folio_of(struct slab *slab)
{
	return (struct folio *)slab;
}

unsigned long slab_pfn(struct slab *slab)
{
	return folio_pfn(folio_of(slab));
}

int slab_order_of(struct slab *slab)
{
	return folio_order(folio_of(slab));
}

int object_index(struct kmem_cache *s, struct slab *slab, const void *object)
{
	return ((char *)object - s->red_left_pad - (char *)folio_address(folio_of(slab))) / s->size;
}

struct kmem_cache_cpu *cache_cpu(struct kmem_cache *s, int cpu)
{
	return per_cpu_ptr(s->cpu_slab, cpu);
}

struct kmem_cache_node *cache_node(struct kmem_cache *s)
{
	return s->node[0];
}

#ifdef CONFIG_SLAB_FREELIST_RANDOM
static unsigned int *kept_random_seq;

void order_freelists(struct kmem_cache *s)
{
	kept_random_seq = s->random_seq;
	s->random_seq = NULL;
}

void shuffle_freelists(struct kmem_cache *s)
{
	s->random_seq = kept_random_seq;
}
#else
void order_freelists(struct kmem_cache *s) { }
void shuffle_freelists(struct kmem_cache *s) { }
#endif

static const void *next_free(struct kmem_cache *s, const void *object)
{
	unsigned long at = (unsigned long)object + s->offset;
	unsigned long next = *(unsigned long *)at;

#ifdef CONFIG_SLAB_FREELIST_HARDENED
	next ^= s->random ^ swab(at);
#endif
	return (void *)next;
}

static void out_objects(bool *first, struct kmem_cache *s, struct slab *slab, const void *object)
{
	int n;

	for (n = 0; object && n < LONGEST_FREELIST; n++, object = next_free(s, object)) {
		out_comma(first);
		out("%d", object_index(s, slab, object));
	}
}

void out_freelist(struct kmem_cache *s, struct slab *slab, const void *object)
{
	bool first = true;

	out("[");
	out_objects(&first, s, slab, object);
	out("]");
}

/* The freelist as it was built: the object that was just taken, then what is left. */
void out_new_slab(struct kmem_cache *s, struct slab *slab, const void *object, const void *freelist)
{
	bool first = false;

	out("[\"N\",%lu,%d,[%d", slab_pfn(slab), slab_order_of(slab), object_index(s, slab, object));
	out_objects(&first, s, slab, freelist);
	out("]]\n");
}

static int partial_slabs(struct kmem_cache_cpu *c)
{
	return c->partial ? c->partial->slabs : 0;
}

void out_slab_counters(struct kmem_cache *s, int cpu)
{
	struct kmem_cache_cpu *c = cache_cpu(s, cpu);
	struct kmem_cache_node *node = cache_node(s);

	out("%ld,%d,%lu,%ld", c->slab ? (long)slab_pfn(c->slab) : -1l, partial_slabs(c),
	    node->nr_partial, atomic_long_read(&node->nr_slabs));
}

static void dump_slab(struct kmem_cache *s, struct slab *slab)
{
	out("{\"pfn\":%lu,\"order\":%d,\"inuse\":%d,\"objs\":%d,\"frozen\":%d,\"fl\":",
	    slab_pfn(slab), slab_order_of(slab), slab->inuse, slab->objects, slab->frozen);
	out_freelist(s, slab, slab->freelist);
	out("}");
}

void dump_cache_layout(struct kmem_cache *s)
{
	out("{\"name\":");
	out_string(s->name);
	out(",\"object_size\":%u,\"size\":%u,\"align\":%u,\"offset\":%u,\"inuse\":%u,\"red_left_pad\":%u,",
	    s->object_size, s->size, s->align, s->offset, s->inuse, s->red_left_pad);
	out("\"order\":%u,\"objs\":%u,\"min_order\":%u,\"min_objs\":%u,",
	    oo_order(s->oo), oo_objects(s->oo), oo_order(s->min), oo_objects(s->min));
	out("\"cpu_partial\":%u,\"cpu_partial_slabs\":%u,\"min_partial\":%lu,",
	    s->cpu_partial, s->cpu_partial_slabs, s->min_partial);
	out("\"flags\":%u,\"allocflags\":%u,\"refcount\":%d,\"ctor\":%d}",
	    (unsigned int)s->flags, (unsigned int)s->allocflags, s->refcount, !!s->ctor);
}

static void dump_cpu(struct kmem_cache *s, int cpu)
{
	struct kmem_cache_cpu *c = cache_cpu(s, cpu);
	struct slab *slab;
	bool first = true;

	out("\"cpu_slab\":");
	if (c->slab)
		dump_slab(s, c->slab);
	else
		out("null");
	out(",\"cpu_fl\":");
	out_freelist(s, c->slab, c->slab ? c->freelist : NULL);
	out(",\"cpu_partial\":[");
	for (slab = c->partial; slab; slab = slab->next) {
		out_comma(&first);
		dump_slab(s, slab);
	}
	out("],\"cpu_partial_count\":%d", partial_slabs(c));
}

static void dump_partial(struct kmem_cache *s)
{
	struct slab *slab;
	bool first = true;

	out("\"partial\":[");
	list_for_each_entry(slab, &cache_node(s)->partial, slab_list) {
		out_comma(&first);
		dump_slab(s, slab);
	}
	out("]");
}

void dump_cache(struct kmem_cache *s, const char *tag, int n)
{
	struct kmem_cache_node *node = cache_node(s);

	out("{\"k\":\"sdump\",\"tag\":\"%s\",\"n\":%d,\"cache\":", tag, n);
	out_string(s->name);
	out(",");
	dump_cpu(s, smp_processor_id());
	out(",\"nr_partial\":%lu,\"nr_slabs\":%ld,\"total_objects\":%ld,", node->nr_partial,
	    atomic_long_read(&node->nr_slabs), atomic_long_read(&node->total_objects));
	dump_partial(s);
	out("}\n");
}

void dump_cache_of_every_cpu(struct kmem_cache *s, const char *tag, int n)
{
	bool first = true;
	int cpu;

	out("{\"k\":\"smpdump\",\"tag\":\"%s\",\"n\":%d,\"cpus\":[", tag, n);
	for_each_online_cpu(cpu) {
		out_comma(&first);
		out("{");
		dump_cpu(s, cpu);
		out("}");
	}
	out("],\"nr_slabs\":%ld,", atomic_long_read(&cache_node(s)->nr_slabs));
	dump_partial(s);
	out("}\n");
}
