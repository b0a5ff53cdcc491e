// SPDX-License-Identifier: GPL-2.0-only
/* exp=stacks: where the stacks of new kernel threads lie, and that the last one freed is used again. */
#include "vmap_layout.h"
#include <linux/kthread.h>
#include <linux/sched/task_stack.h>

#define THREADS 24

static struct {
	unsigned long base, first_local;
} seen;

static int thread(void *unused)
{
	unsigned long local;

	seen.first_local = (unsigned long)&local;
	seen.base = (unsigned long)task_stack_page(current);
	while (!kthread_should_stop())
		msleep(1);
	return 0;
}

static void out_stack(int i, struct task_struct *task)
{
	struct vm_struct *area = vm_area_at((void *)seen.base);
	bool first = true;
	int page;

	out("{\"k\":\"stack\",\"i\":%d,\"base\":%lu,\"first_local_at\":%lu,", i, seen.base - VMALLOC_START,
	    seen.first_local - seen.base);
	out("\"area_size\":%lu,\"area_addr\":%lu,\"nr_pages\":%u,\"pfns\":[", area ? area->size : 0,
	    area ? (unsigned long)area->addr - VMALLOC_START : 0, area ? area->nr_pages : 0);
	for (page = 0; page < THREAD_SIZE / PAGE_SIZE; page++)
		out_number(&first, vmalloc_to_pfn((void *)seen.base + page * PAGE_SIZE));
	out("],\"end_magic\":\"%lx\"}\n", *(unsigned long *)end_of_stack(task));
}

static int start(struct task_struct **tasks)
{
	int i;

	for (i = 0; i < THREADS; i++) {
		tasks[i] = kthread_run(thread, NULL, "mmt-stack/%d", i);
		if (IS_ERR(tasks[i]))
			break;
		msleep(3);
		out_stack(i, tasks[i]);
	}
	return i;
}

static void start_again(void)
{
	struct task_struct *task = kthread_run(thread, NULL, "mmt-stack/again");

	if (IS_ERR(task))
		return;
	msleep(5);
	out("{\"k\":\"reuse\",\"base\":%lu}\n", seen.base - VMALLOC_START);
	kthread_stop(task);
}

int exp_stacks(void)
{
	struct task_struct *tasks[THREADS];
	int i;

	events_on = EV_VMAP;
	for (i = start(tasks) - 1; i >= 0; i--) {
		out("{\"k\":\"stop\",\"i\":%d}\n", i);
		kthread_stop(tasks[i]);
		msleep(5);
	}
	msleep(30);
	start_again();
	events_on = 0;
	return 0;
}
