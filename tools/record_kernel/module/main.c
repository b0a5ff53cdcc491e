// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm_record: records what the page allocator, SLUB and vmalloc of the running kernel really do.
 *
 * Loading the module is the experiment: insmod kmm_record.ko exp=buddy seed=7 nops=3000 ...
 */
#include "record.h"
#include <generated/utsrelease.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>

char *experiment = "none", *name = "";
int seed = 1, nops = 1000, omin, omax = 10, prof, mtp, wmp, pcpmode, ev, dint = 250;
int cap = 4096, zmod = -1, fill = 50, arg1, arg2, arg3, ballast;

#define PARAMETER(which, type, text)	\
	module_param(which, type, 0);	\
	MODULE_PARM_DESC(which, text)

module_param_named(exp, experiment, charp, 0);
MODULE_PARM_DESC(exp, "which experiment");
PARAMETER(name, charp, "the recording's name");
PARAMETER(seed, int, "of every random choice");
PARAMETER(nops, int, "steps of a random walk");
PARAMETER(omin, int, "smallest order asked for");
PARAMETER(omax, int, "largest order asked for");
PARAMETER(prof, int, "profile of orders: 0 geometric, 1 uniform, 2 mostly omin, 3 mostly small");
PARAMETER(mtp, int, "migratetypes: 0 unmovable, 1 movable, 2 all, 3 reclaimable, 4 movable and unmovable; slabs: 1 freelist in address order");
PARAMETER(wmp, int, "masks: 0 GFP_NOWAIT, 1 also atomic ones, 2 every watermark, 3 also GFP_KERNEL while there is plenty");
PARAMETER(pcpmode, int, "per-CPU lists: 0 as found, 1 off, 2 drained first");
PARAMETER(ev, int, "events to record, a mask: 1 extfrag, 2 per-CPU lists, 4 pages, 8 vmap areas");
PARAMETER(dint, int, "steps from one dump to the next");
PARAMETER(cap, int, "hold at most so many blocks or objects");
PARAMETER(zmod, int, "zone bits added to each mask: 0 none, 1 DMA, 2 HIGHMEM, 4 DMA32; -1 mixed");
PARAMETER(fill, int, "percent: free a burst after a failure; vmalloc: free; scripts of slabs: how many slabs");
PARAMETER(arg1, int, "the experiment's own");
PARAMETER(arg2, int, "the experiment's own");
PARAMETER(arg3, int, "the experiment's own");
PARAMETER(ballast, int, "first fill zone arg2 until so many pages are free");

static const struct {
	const char *name;
	int (*run)(void);
} experiments[] = {
	{ "buddy", exp_buddy }, { "script", exp_script }, { "drain", exp_drain }, { "zones", exp_zones },
	{ "smp", exp_smp }, { "slub", exp_slub }, { "kmallocseq", exp_kmallocseq },
	{ "kmalloc", exp_kmalloc }, { "kcache", exp_kcache }, { "caches", exp_caches },
	{ "gfp", exp_gfp }, { "consts", exp_consts }, { "vmalloc", exp_vmalloc },
	{ "stacks", exp_stacks }, { "mistake", exp_mistake },
};

/* exp=copy: what is written to /proc/kmm_record goes to the recording as it is */
static ssize_t copy_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	static char buffer[4096];

	size = min(size, sizeof(buffer));
	if (copy_from_user(buffer, from, size))
		return -EFAULT;
	out_raw(buffer, size);
	out_flush();
	return size;
}

static const struct proc_ops copy_ops = { .proc_write = copy_write };

static bool copies(void)
{
	return !strcmp(experiment, "copy");
}

static int shuffle_active(void)
{
	struct static_key *key = symbol("page_alloc_shuffle_key");

	return key ? static_key_count(key) : 0;
}

static void out_header(void)
{
	out("{\"k\":\"run\",\"exp\":\"%s\",\"name\":\"%s\",\"kernel\":\"%s\",\"seed\":%d,\"nops\":%d,",
	    experiment, name, UTS_RELEASE, seed, nops);
	out("\"omin\":%d,\"omax\":%d,\"prof\":%d,\"mtp\":%d,\"wmp\":%d,\"pcpmode\":%d,\"ev\":%d,\"dint\":%d,",
	    omin, omax, prof, mtp, wmp, pcpmode, ev, dint);
	out("\"cap\":%d,\"zmod\":%d,\"fill\":%d,\"args\":[%d,%d,%d],\"ballast\":%d,",
	    cap, zmod, fill, arg1, arg2, arg3, ballast);
	out("\"cpus\":%d,\"nr_cpu_ids\":%u,\"nodes\":%d,\"cmdline\":",
	    num_online_cpus(), nr_cpu_ids, num_online_nodes());
	out_string(*(char **)symbol("saved_command_line"));
	out(",\"shuffle\":%d}\n", shuffle_active());
}

static int run_experiment(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(experiments); i++)
		if (!strcmp(experiment, experiments[i].name))
			return experiments[i].run();
	pr_err("kmm_record: no experiment %s\n", experiment);
	return -EINVAL;
}

static int __init record_init(void)
{
	int error = symbols_init();

	if (!error)
		error = out_init();
	if (error)
		return error;
	if (copies())
		return proc_create("kmm_record", 0200, NULL, &copy_ops) ? 0 : -ENOMEM;
	tracepoints_init();
	chance_seed(seed);
	out_header();
	error = run_experiment();
	out("{\"k\":\"end\",\"rc\":%d}\n", error);
	out_flush();
	tracepoints_exit();
	if (error)
		out_exit();
	return error;
}

static void __exit record_exit(void)
{
	if (copies())
		remove_proc_entry("kmm_record", NULL);
	out_exit();
}

module_init(record_init);
module_exit(record_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Records how the kernel manages memory");
