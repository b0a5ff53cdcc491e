// SPDX-License-Identifier: GPL-2.0-only
/* exp=gfp: every mask's value, zone and migratetype, and how the kernel prints it. */
#include "record.h"

/* Not exported, and gfp_migratetype() reads it.  0: grouping is on (see the "sysctl" record of consts). */
int page_group_by_mobility_disabled;

#define MASK(mask) { #mask, mask }
static const struct {
	const char *name;
	gfp_t gfp;
} masks[] = {
	MASK(__GFP_DMA), MASK(__GFP_HIGHMEM), MASK(__GFP_DMA32), MASK(__GFP_MOVABLE),
	MASK(__GFP_RECLAIMABLE), MASK(__GFP_HIGH), MASK(__GFP_IO), MASK(__GFP_FS), MASK(__GFP_ZERO),
	MASK(__GFP_DIRECT_RECLAIM), MASK(__GFP_KSWAPD_RECLAIM), MASK(__GFP_RECLAIM), MASK(__GFP_WRITE),
	MASK(__GFP_NOWARN), MASK(__GFP_RETRY_MAYFAIL), MASK(__GFP_NOFAIL), MASK(__GFP_NORETRY),
	MASK(__GFP_MEMALLOC), MASK(__GFP_COMP), MASK(__GFP_NOMEMALLOC), MASK(__GFP_HARDWALL),
	MASK(__GFP_THISNODE), MASK(__GFP_ACCOUNT), MASK(__GFP_ZEROTAGS), MASK(__GFP_SKIP_ZERO),
	MASK(__GFP_SKIP_KASAN), MASK(__GFP_NOLOCKDEP), MASK(__GFP_NO_OBJ_EXT),
	MASK(GFP_ATOMIC), MASK(GFP_KERNEL), MASK(GFP_KERNEL_ACCOUNT), MASK(GFP_NOWAIT), MASK(GFP_NOIO),
	MASK(GFP_NOFS), MASK(GFP_USER), MASK(GFP_DMA), MASK(GFP_DMA32), MASK(GFP_HIGHUSER),
	MASK(GFP_HIGHUSER_MOVABLE), MASK(GFP_TRANSHUGE_LIGHT), MASK(GFP_TRANSHUGE),
	MASK(GFP_ZONEMASK), MASK(__GFP_BITS_MASK),
};
#define PLAIN_MASKS (ARRAY_SIZE(masks) - 4)	/* without the last four, which set too much */

static char text[512];

static const char *printed(gfp_t gfp)
{
	snprintf(text, sizeof(text), "%pGg", &gfp);
	return text;
}

static void out_values(void)
{
	bool first = true;
	int i;

	out("{\"k\":\"gfp\",\"values\":{");
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		out_comma(&first);
		out("\"%s\":%u", masks[i].name, (unsigned int)masks[i].gfp);
	}
	out("},\"GFP_ZONE_TABLE\":%llu,\"GFP_ZONE_BAD\":%llu,\"GFP_ZONES_SHIFT\":%d,\"__GFP_BITS_SHIFT\":%d}\n",
	    (u64)GFP_ZONE_TABLE, (u64)GFP_ZONE_BAD, GFP_ZONES_SHIFT, __GFP_BITS_SHIFT);
}

static int is_bad_zone(gfp_t gfp)
{
	return (GFP_ZONE_BAD >> (gfp & GFP_ZONEMASK)) & 1;
}

static void out_zone_table(void)
{
	static const char *const names[] = { "DMA", "DMA32", "Normal", "Movable", "Device", "?" };
	unsigned int bits;

	for (bits = 0; bits < 16; bits++) {
		int zone = gfp_zone((gfp_t)bits);

		out("{\"k\":\"zone\",\"bits\":%u,\"zone\":%d,\"name\":\"%s\",\"bad\":%d}\n",
		    bits, zone, names[zone], is_bad_zone((gfp_t)bits));
	}
}

static void out_migratetypes(void)
{
	int i;

	for (i = 0; i < 4; i++) {
		gfp_t gfp = (i & 1 ? __GFP_MOVABLE : 0) | (i & 2 ? __GFP_RECLAIMABLE : 0);

		out("{\"k\":\"mt\",\"gfp\":%u,\"mt\":%d}\n", (unsigned int)gfp, gfp_migratetype(gfp));
	}
}

static void out_named_masks(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		gfp_t gfp = masks[i].gfp;

		out("{\"k\":\"str\",\"name\":\"%s\",\"gfp\":%u,\"text\":\"%s\",\"zone\":%d,\"mt\":%d,\"blocking\":%d}\n",
		    masks[i].name, (unsigned int)gfp, printed(gfp), gfp_zone(gfp),
		    gfp_migratetype(gfp) & 3, gfpflags_allow_blocking(gfp));
	}
}

static gfp_t random_mask(int kind)
{
	gfp_t gfp = (gfp_t)chance() & __GFP_BITS_MASK;

	if (kind == 0)
		gfp = masks[chance_below(PLAIN_MASKS)].gfp | masks[chance_below(PLAIN_MASKS)].gfp;
	if (kind == 1)
		gfp &= (gfp_t)chance();
	return gfp & __GFP_BITS_MASK;
}

int exp_gfp(void)
{
	int i;

	out_values();
	out_zone_table();
	out_migratetypes();
	out_named_masks();
	for (i = 0; i < nops; i++) {
		gfp_t gfp = random_mask(i % 3);
		gfp_t one_type = gfp & __GFP_MOVABLE ? gfp & ~__GFP_RECLAIMABLE : gfp;

		out("[%u,\"%s\",%d,%d,%d]\n", (unsigned int)gfp, printed(gfp), gfp_zone(gfp), is_bad_zone(gfp),
		    gfp_migratetype(one_type));
	}
	return 0;
}
