// SPDX-License-Identifier: GPL-2.0-only
/* exp=vmalloc: a random walk of vmalloc(), get_vm_area() and their frees; arg1=1: purge first. */
#include "vmap_layout.h"

#define MOST_AREAS	2048
#define RELATIVE(addr)	((unsigned long)(addr) - VMALLOC_START)

static struct area {
	void *addr;
	bool reserved;		/* by get_vm_area(): addresses only */
} areas[MOST_AREAS];
static int nr_areas;

static void dump_tree(struct rb_node *node)
{
	struct vmap_area *va;

	if (!node) {
		out("0");
		return;
	}
	va = rb_entry(node, struct vmap_area, rb_node);
	out("[%lu,%lu,%d,", va->va_start, va->va_end, (int)(node->__rb_parent_color & 1));
	dump_tree(node->rb_left);
	out(",");
	dump_tree(node->rb_right);
	out("]");
}

static void dump_areas(const char *key, struct list_head *list)
{
	struct vmap_area *va;
	bool first = true;

	out(",\"%s\":[", key);
	list_for_each_entry(va, list, list) {
		out_comma(&first);
		out("[%lu,%lu,%lu]", RELATIVE(va->va_start), va->va_end - va->va_start, va->flags);
	}
	out("]");
}

static void dump_pool(bool *first_pool, int pages, struct list_head *pool)
{
	struct vmap_area *va;
	bool first = true;

	if (list_empty(pool))
		return;
	out_comma(first_pool);
	out("\"%d\":[", pages);
	list_for_each_entry(va, pool, list)
		out_number(&first, RELATIVE(va->va_start));
	out("]");
}

static void dump_nodes(void)
{
	struct vmap_node *nodes = vmap_nodes();
	int i, j;

	for (i = 0; i < nr_vmap_nodes(); i++) {
		bool first = true;

		out("%s{\"node\":%d", i ? "," : "", i);
		dump_areas("busy", &nodes[i].busy.head);
		dump_areas("lazylist", &nodes[i].lazy.head);
		out(",\"pools\":{");
		for (j = 0; j < MAX_VA_SIZE_PAGES; j++)
			dump_pool(&first, j + 1, &nodes[i].pool[j].head);
		out("}}");
	}
}

static void dump_free(void)
{
	struct list_head *free = symbol("free_vmap_area_list");
	struct vmap_area *va;
	bool first = true;

	list_for_each_entry(va, free, list) {
		unsigned long start = max(va->va_start, VMALLOC_START);
		unsigned long end = min(va->va_end, VMALLOC_END + 1);

		if (start >= end)
			continue;
		out_comma(&first);
		out("[%lu,%lu]", RELATIVE(start), end - start);
	}
}

static void dump_space(const char *tag)
{
	struct rb_root *root = symbol("free_vmap_area_root");
	int events = events_on;

	events_on = 0;
	out("{\"k\":\"vdump\",\"tag\":\"%s\",\"lazy\":%ld,\"nr_vmap_nodes\":%u,\"free\":[",
	    tag, atomic_long_read(symbol("vmap_lazy_nr")), nr_vmap_nodes());
	dump_free();
	out("],\"tree\":");
	dump_tree(root->rb_node);
	out(",\"nodes\":[");
	dump_nodes();
	out("]}\n");
	events_on = events;
}

static void release(int which)
{
	struct area area = areas[which];

	areas[which] = areas[--nr_areas];
	out("[\"vfree\",%lu,%d]\n", RELATIVE(area.addr), area.reserved);
	if (area.reserved)
		free_vm_area(vm_area_at(area.addr));
	else
		vfree(area.addr);
}

static void hold(void *addr, bool reserved)
{
	areas[nr_areas++] = (struct area){ addr, reserved };
}

static bool reserve(int pages)
{
	struct vm_struct *(*get_vm_area)(unsigned long size, unsigned long flags) = symbol("get_vm_area");
	unsigned long flags = chance_below(2) ? VM_IOREMAP : VM_MAP;
	struct vm_struct *area = get_vm_area((unsigned long)pages * PAGE_SIZE, flags);

	if (!area) {
		out("[\"getvm\",%d,%lu,-1]\n", pages, flags);
		return false;
	}
	out("[\"getvm\",%d,%lu,%lu,%lu]\n", pages, flags, RELATIVE(area->addr), area->size);
	hold(area->addr, true);
	return true;
}

static bool allocate(int pages)
{
	unsigned long size = (unsigned long)pages * PAGE_SIZE - (chance_below(2) ? chance_below(4000) : 0);
	void *addr = chance_below(2) ? vmalloc(size) : vzalloc(size);
	struct vm_struct *area;
	bool first = true;
	int i;

	if (!addr) {
		out("[\"vmalloc\",%lu,-1]\n", size);
		return false;
	}
	area = vm_area_at(addr);
	out("[\"vmalloc\",%lu,%lu,%lu,%u,[", size, RELATIVE(addr), area->size, area->nr_pages);
	for (i = 0; i < area->nr_pages; i++)
		out_number(&first, vmalloc_to_pfn(addr + i * PAGE_SIZE));
	out("]]\n");
	hold(addr, false);
	return true;
}

static void one_step(void)
{
	int pages, reserves;

	if (chance_below(100) < fill ? nr_areas > 0 : nr_areas >= min(cap, MOST_AREAS)) {
		release(chance_below(3) ? chance_below(nr_areas) : nr_areas - 1);
		return;
	}
	reserves = chance_below(6) == 0;
	pages = chance_below(4) ? 1 + chance_below(16) : 1 + chance_below(300);
	if (!(reserves ? reserve(pages) : allocate(pages)) || chance_below(60))
		return;
	out("[\"purge\"]\n");
	vm_unmap_aliases();
	dump_space("purged");
}

int exp_vmalloc(void)
{
	int i;

	if (vmap_layout_check())
		return -EINVAL;
	if (arg1) {
		msleep(50);
		vm_unmap_aliases();
		out_note("vm_unmap_aliases first: lazily freed areas purged");
	}
	dump_space("start");
	events_on = EV_VMAP | ev;
	for (i = 0; i < nops; i++)
		one_step();
	dump_space("mid");
	while (nr_areas)
		release(chance_below(nr_areas));
	vm_unmap_aliases();
	dump_space("end");
	events_on = 0;
	return 0;
}
