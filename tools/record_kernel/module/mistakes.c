// SPDX-License-Identifier: GPL-2.0-only
/* exp=mistake name=...: one deliberate mistake, for what the kernel says of it on its console. */
#include "record.h"
#include <linux/kthread.h>
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(lock);

static struct kmem_cache *own_cache(const char *cache_name, slab_flags_t flags)
{
	return kmem_cache_create(cache_name, 64, 0, flags | SLAB_NO_MERGE, NULL);
}

static void take_pages(int n, int order)
{
	while (n--)
		alloc_pages(GFP_KERNEL, order);
}

static void take_until_refused(int most, gfp_t gfp, int order)
{
	while (most-- && alloc_pages(gfp, order))
		;
}

/* ---- pages ---- */
static void page_double_free(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	__free_pages(page, 0);
	__free_pages(page, 0);
	take_pages(64, 0);
}

static void page_free_mapped(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	page->mapping = (void *)0x1000;
	__free_pages(page, 0);
}

static void page_free_locked(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	__set_bit(PG_locked, &page->flags);
	__set_bit(PG_lru, &page->flags);
	__free_pages(page, 0);
}

static void page_wrong_order(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	take_pages(1, 0);
	__free_pages(page, 2);
	take_pages(300, 0);
}

static void page_uaf(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 4);
	char *p = page_address(page);

	p[0] = 1;
	__free_pages(page, 4);
	pr_info("page freed, writing to %px\n", p);
	p[0] = 2;
	pr_info("no fault\n");
	take_pages(8, 4);
}

static void alloc_fail_atomic(void)
{
	take_until_refused(2000, GFP_ATOMIC, 10);
}

static void alloc_fail_order3(void)
{
	take_until_refused(2000, GFP_ATOMIC | __GFP_NOWARN, 10);
	take_until_refused(20000, GFP_ATOMIC | __GFP_NOWARN, 4);
	take_until_refused(20000, GFP_ATOMIC, 3);
}

static void alloc_fail_dma(void)
{
	take_until_refused(2000, GFP_KERNEL | __GFP_DMA | __GFP_NORETRY, 4);
}

static void order_too_big(void)
{
	alloc_pages(GFP_KERNEL, 11);
}

static void nofail_order2(void)
{
	pr_info("%px\n", alloc_pages(GFP_KERNEL | __GFP_NOFAIL, 2));
}

static void oom_kernel(void)
{
	take_until_refused(2000000, GFP_KERNEL, 0);
	pr_info("gave up\n");
}

/* All but arg1 pages, for a user's process to run out of memory */
static void oom_prep(void)
{
	struct sysinfo info;

	si_meminfo(&info);
	take_until_refused(info.freeram - arg1, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN, 0);
	pr_info("took about %ld pages\n", (long)info.freeram - arg1);
}

/* ---- slabs ---- */
static void slub_double_free(void)
{
	struct kmem_cache *s = own_cache("mmt-df", 0);
	void *p = kmem_cache_alloc(s, GFP_KERNEL);

	kmem_cache_free(s, p);
	kmem_cache_free(s, p);
	pr_info("after: %d\n", kmem_cache_alloc(s, GFP_KERNEL) == p);
}

static void slub_double_free2(void)
{
	struct kmem_cache *s = own_cache("mmt-df", 0);
	void *p = kmem_cache_alloc(s, GFP_KERNEL), *q = kmem_cache_alloc(s, GFP_KERNEL);
	int i;

	kmem_cache_free(s, p);
	kmem_cache_free(s, q);
	kmem_cache_free(s, p);
	for (i = 0; i < 6; i++)
		pr_info("alloc %d -> %px\n", i, kmem_cache_alloc(s, GFP_KERNEL));
}

static void slub_leak_destroy(void)
{
	struct kmem_cache *s = own_cache("mmt-leak", 0);

	kmem_cache_alloc(s, GFP_KERNEL);
	kmem_cache_destroy(s);
}

static void slub_wrong_cache(void)
{
	void *p = kmem_cache_alloc(own_cache("mmt-a", 0), GFP_KERNEL);

	kmem_cache_free(own_cache("mmt-b", 0), p);
}

static struct kmem_cache *debug_cache(void)
{
	return kmem_cache_create("mmt-dbg", 64, 0,
				 SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_CONSISTENCY_CHECKS, NULL);
}

static void slubdbg_double_free(void)
{
	struct kmem_cache *s = debug_cache();
	void *p = kmem_cache_alloc(s, GFP_KERNEL);

	kmem_cache_free(s, p);
	kmem_cache_free(s, p);
}

static void write_outside(int at)
{
	struct kmem_cache *s = debug_cache();
	char *p = kmem_cache_alloc(s, GFP_KERNEL);

	p[at] = 0x42;
	kmem_cache_free(s, p);
}

static void slubdbg_redzone(void)
{
	write_outside(64);
}

static void slubdbg_leftredzone(void)
{
	write_outside(-1);
}

static void slubdbg_uaf(void)
{
	struct kmem_cache *s = debug_cache();
	char *p = kmem_cache_alloc(s, GFP_KERNEL);

	kmem_cache_free(s, p);
	p[8] = 'A';
	p[9] = 'B';
	kmem_cache_alloc(s, GFP_KERNEL);
}

static void slubdbg_badptr(void)
{
	struct kmem_cache *s = debug_cache();

	kmem_cache_free(s, kmem_cache_alloc(s, GFP_KERNEL) + 8);
}

static void slubdbg_leak(void)
{
	struct kmem_cache *s = debug_cache();

	kmem_cache_alloc(s, GFP_KERNEL);
	kmem_cache_alloc(s, GFP_KERNEL);
	kmem_cache_destroy(s);
}

static void slubdbg_wrongcache(void)
{
	void *p = kmem_cache_alloc(debug_cache(), GFP_KERNEL);

	kmem_cache_free(kmem_cache_create("mmt-other", 64, 0, SLAB_CONSISTENCY_CHECKS, NULL), p);
}

static void kmem_cache_dup_name(void)
{
	pr_info("got %px\n", own_cache("kmalloc-64", 0));
}

/* ---- kmalloc ---- */
static void kmalloc_too_big(void)
{
	volatile size_t size = 8u << 20;

	pr_info("kmalloc(8M) = %px\n", kmalloc(size, GFP_KERNEL));
}

static void gfp_highmem_kmalloc(void)
{
	volatile gfp_t gfp = GFP_KERNEL | __GFP_HIGHMEM;
	int i;

	for (i = 0; i < 200; i++)
		kmalloc(512, gfp);
}

static void kmalloc_uaf(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	strcpy(p, "hello");
	kfree(p);
	pr_info("after kfree: %02x %02x %02x %02x\n", p[0], p[1], p[2], p[3]);
	p[4] = 'X';
	pr_info("same object again: %d\n", kmalloc(64, GFP_KERNEL) == p);
}

static void kmalloc_overflow(void)
{
	volatile size_t size = 64 + 8;
	char *p = kmalloc(64, GFP_KERNEL);

	memset(p, 0x41, size);
	kfree(p);
}

static void kfree_vmalloc(void)
{
	kfree(vmalloc(4096));
}

static void kfree_page(void)
{
	kfree(page_address(alloc_pages(GFP_KERNEL, 0)));
}

static void kfree_misaligned(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	kfree(p + 8);
	pr_info("after kfree(p+8): next kmalloc(64) %px, was %px\n", kmalloc(64, GFP_KERNEL), p);
}

static void kfree_wild(void)
{
	kfree((void *)0xdead4ead00000000ul);
}

/* ---- vmalloc and stacks ---- */
static void vfree_bad(void)
{
	char *p = vmalloc(8192);

	vfree(p + 4096);
	pr_info("--\n");
	vfree(p + 10);
}

static void vfree_kmalloc(void)
{
	vfree(kmalloc(4096, GFP_KERNEL));
}

static void vmalloc_guard(void)
{
	char *p = vmalloc(8192);

	pr_info("vmalloc 8192 at %px, writing at +8192\n", p);
	p[8192] = 1;
}

static void vmalloc_uaf(void)
{
	char *p = vmalloc(8192);

	p[0] = 1;
	vfree(p);
	pr_info("freed %px\n", p);
	p[0] = 2;
}

static void vmalloc_too_big(void)
{
	pr_info("vmalloc(1T) = %px\n", vmalloc(1ul << 40));
}

static void vmalloc_uninit(void)
{
	char *p = vmalloc(4096), *q;

	pr_info("vmalloc 4096 -> %px %02x\n", p, p[0]);
	q = vzalloc(4096);
	pr_info("next vmalloc 4096 -> %px (distance %ld)\n", q, (long)(q - p));
}

static noinline int recurse(int n)
{
	volatile char bytes[512];

	bytes[0] = n;
	bytes[511] = bytes[0];
	barrier();
	return recurse(n + 1) + bytes[n & 511];
}

static int recursing_thread(void *unused)
{
	pr_info("recursing, stack %px\n", current->stack);
	return recurse(0);
}

static void stack_overflow(void)
{
	kthread_run(recursing_thread, NULL, "mmt-recurse");
	msleep(500);
}

/* ---- sleeping where one must not ---- */
static void sched_atomic(void)
{
	spin_lock(&lock);
	msleep(10);
	spin_unlock(&lock);
}

static void sleep_atomic_alloc(void)
{
	void *p;

	spin_lock(&lock);
	p = kmalloc(100, GFP_KERNEL);
	spin_unlock(&lock);
	kfree(p);
	pr_info("kmalloc(GFP_KERNEL) under spinlock returned %px\n", p);
}

static void sleep_irqsoff_alloc(void)
{
	unsigned long flags;

	local_irq_save(flags);
	take_pages(1, 0);
	local_irq_restore(flags);
}

static void vmalloc_atomic(void)
{
	spin_lock(&lock);
	vmalloc(4096);
	spin_unlock(&lock);
}

#define MISTAKE(mistake) { #mistake, mistake }
static const struct {
	const char *name;
	void (*make)(void);
} mistakes[] = {
	MISTAKE(page_double_free), MISTAKE(page_free_mapped), MISTAKE(page_free_locked),
	MISTAKE(page_wrong_order), MISTAKE(page_uaf), MISTAKE(alloc_fail_atomic),
	MISTAKE(alloc_fail_order3), MISTAKE(alloc_fail_dma), MISTAKE(order_too_big),
	MISTAKE(nofail_order2), MISTAKE(oom_kernel), MISTAKE(oom_prep),
	MISTAKE(slub_double_free), MISTAKE(slub_double_free2), MISTAKE(slub_leak_destroy),
	MISTAKE(slub_wrong_cache), MISTAKE(slubdbg_double_free), MISTAKE(slubdbg_redzone),
	MISTAKE(slubdbg_leftredzone), MISTAKE(slubdbg_uaf), MISTAKE(slubdbg_badptr),
	MISTAKE(slubdbg_leak), MISTAKE(slubdbg_wrongcache), MISTAKE(kmem_cache_dup_name),
	MISTAKE(kmalloc_too_big), MISTAKE(gfp_highmem_kmalloc), MISTAKE(kmalloc_uaf),
	MISTAKE(kmalloc_overflow), MISTAKE(kfree_vmalloc), MISTAKE(kfree_page),
	MISTAKE(kfree_misaligned), MISTAKE(kfree_wild), MISTAKE(vfree_bad), MISTAKE(vfree_kmalloc),
	MISTAKE(vmalloc_guard), MISTAKE(vmalloc_uaf), MISTAKE(vmalloc_too_big),
	MISTAKE(vmalloc_uninit), MISTAKE(stack_overflow), MISTAKE(sched_atomic),
	MISTAKE(sleep_atomic_alloc), MISTAKE(sleep_irqsoff_alloc), MISTAKE(vmalloc_atomic),
};

int exp_mistake(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(mistakes); i++) {
		if (strcmp(name, mistakes[i].name))
			continue;
		pr_info("kmm_record: === %s ===\n", name);
		mistakes[i].make();
		msleep(50);
		pr_info("kmm_record: === end %s ===\n", name);
		return 0;
	}
	pr_err("kmm_record: no mistake %s\n", name);
	return -EINVAL;
}
