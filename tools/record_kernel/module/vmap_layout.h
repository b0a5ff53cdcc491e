/* SPDX-License-Identifier: GPL-2.0-only */
/* How Linux 6.12 lays out what mm/vmalloc.c keeps to itself; vmap_layout_check() compares. */
#ifndef VMAP_LAYOUT_H
#define VMAP_LAYOUT_H

#include <linux/version.h>
#include <linux/workqueue.h>
#include "record.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0) || LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#error "vmap_layout.h is of Linux 6.12: compare it with mm/vmalloc.c of this kernel (see README.md)"
#endif

#define MAX_VA_SIZE_PAGES 256

struct vmap_pool {
	struct list_head head;
	unsigned long len;
};

struct rb_list {
	struct rb_root root;
	struct list_head head;
	spinlock_t lock;
};

struct vmap_node {
	struct vmap_pool pool[MAX_VA_SIZE_PAGES];
	spinlock_t pool_lock;
	bool skip_populate;
	struct rb_list busy;
	struct rb_list lazy;
	struct list_head purge_list;
	struct work_struct purge_work;
	unsigned long nr_purged;
};

static inline struct vmap_node *vmap_nodes(void)
{
	return *(struct vmap_node **)symbol("vmap_nodes");
}

static inline unsigned int nr_vmap_nodes(void)
{
	return *(unsigned int *)symbol("nr_vmap_nodes");
}

static inline struct vm_struct *vm_area_at(const void *addr)
{
	struct vm_struct *(*find_vm_area)(const void *addr) = symbol("find_vm_area");

	return find_vm_area(addr);
}

/* Where we think that a list's head is, there must be one: its neighbours point back at it. */
static inline bool is_list_head(const struct list_head *head)
{
	return head->next && head->prev && head->next->prev == head && head->prev->next == head;
}

static inline int vmap_layout_check(void)
{
	struct vmap_node *last = &vmap_nodes()[nr_vmap_nodes() - 1];

	if (is_list_head(&last->pool[MAX_VA_SIZE_PAGES - 1].head) && is_list_head(&last->busy.head) &&
	    is_list_head(&last->lazy.head))
		return 0;
	pr_err("kmm_record: vmap_layout.h is not how this kernel lays out struct vmap_node\n");
	return -EINVAL;
}
#endif
