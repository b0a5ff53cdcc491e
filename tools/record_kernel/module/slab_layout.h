/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How Linux 6.12 lays out what SLUB keeps to itself (mm/slab.h, mm/slub.c): fields in their order, and
 * nothing else.  slab_layout_check() compares with the running kernel before anything is read.
 */
#ifndef SLAB_LAYOUT_H
#define SLAB_LAYOUT_H

#include <linux/kasan.h>
#include <linux/kobject.h>
#include <linux/reciprocal_div.h>
#include <linux/version.h>
#include "record.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0) || LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#error "slab_layout.h is of Linux 6.12: compare it with mm/slab.h and mm/slub.c of this kernel (see README.md)"
#endif
#if !defined(CONFIG_SLUB_CPU_PARTIAL) || !defined(CONFIG_SLUB_DEBUG)
#error "the recorder needs a kernel with CONFIG_SLUB_CPU_PARTIAL and CONFIG_SLUB_DEBUG"
#endif

struct slab {				/* lies over struct page */
	unsigned long page_flags;
	struct kmem_cache *slab_cache;
	union {
		struct list_head slab_list;
		struct {
			struct slab *next;
			int slabs;
		};
	};
	void *freelist;
	unsigned int inuse : 16, objects : 15, frozen : 1;
};
static_assert(offsetof(struct slab, slab_cache) == offsetof(struct page, compound_head));
static_assert(offsetof(struct slab, freelist) % (2 * sizeof(void *)) == 0);	/* swapped with what follows */
static_assert(sizeof(struct slab) <= sizeof(struct page));

struct kmem_cache_cpu {
	void *freelist;
	unsigned long tid;
	struct slab *slab;
	struct slab *partial;
};

struct kmem_cache_node {
	spinlock_t list_lock;
	unsigned long nr_partial;
	struct list_head partial;
	atomic_long_t nr_slabs;
	atomic_long_t total_objects;
	struct list_head full;
};

struct kmem_cache {
	struct kmem_cache_cpu __percpu *cpu_slab;
	struct lock_class_key lock_key;
	slab_flags_t flags;
	unsigned long min_partial;
	unsigned int size, object_size;
	struct reciprocal_value reciprocal_size;
	unsigned int offset;			/* of the free pointer */
	unsigned int cpu_partial, cpu_partial_slabs;
	unsigned int oo, min;			/* order << 16 | objects */
	gfp_t allocflags;
	int refcount;
	void (*ctor)(void *object);
	unsigned int inuse, align, red_left_pad;
	const char *name;
	struct list_head list;
#ifdef CONFIG_SYSFS
	struct kobject kobj;
#endif
#ifdef CONFIG_SLAB_FREELIST_HARDENED
	unsigned long random;
#endif
#ifdef CONFIG_NUMA
	unsigned int remote_node_defrag_ratio;
#endif
#ifdef CONFIG_SLAB_FREELIST_RANDOM
	unsigned int *random_seq;
#endif
#ifdef CONFIG_KASAN_GENERIC
	struct kasan_cache kasan_info;
#endif
#ifdef CONFIG_HARDENED_USERCOPY
	unsigned int useroffset, usersize;
#endif
	struct kmem_cache_node *node[MAX_NUMNODES];
};

static inline unsigned int oo_order(unsigned int oo)
{
	return oo >> 16;
}

static inline unsigned int oo_objects(unsigned int oo)
{
	return oo & 0xffff;
}

/* slab.c: one cache, its slabs and its objects */
int slab_layout_check(void);
struct slab *slab_of(const void *object);
unsigned long slab_pfn(struct slab *slab);
int slab_order_of(struct slab *slab);
int object_index(struct kmem_cache *s, struct slab *slab, const void *object);
struct kmem_cache_cpu *cache_cpu(struct kmem_cache *s, int cpu);
struct kmem_cache_node *cache_node(struct kmem_cache *s);
void order_freelists(struct kmem_cache *s);	/* new freelists in address order, until ... */
void shuffle_freelists(struct kmem_cache *s);
void out_freelist(struct kmem_cache *s, struct slab *slab, const void *object);
void out_new_slab(struct kmem_cache *s, struct slab *slab, const void *object, const void *freelist);
void out_slab_counters(struct kmem_cache *s, int cpu);
void dump_cache_layout(struct kmem_cache *s);
void dump_cache(struct kmem_cache *s, const char *tag, int n);
void dump_cache_of_every_cpu(struct kmem_cache *s, const char *tag, int n);

/* The flags that caches are made with, by number */
struct slab_flag {
	const char *name;
	slab_flags_t flags;
};
extern const struct slab_flag slab_flags[11];
#endif
