// SPDX-License-Identifier: GPL-2.0-only
/* Random numbers by splitmix64: the same seed, the same recording. */
#include "record.h"

static u64 state;

void chance_seed(u64 seed)
{
	state = seed * 0x9E3779B97F4A7C15ull + 0x1234567;
}

u64 chance(void)
{
	u64 z = (state += 0x9E3779B97F4A7C15ull);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
	return z ^ (z >> 31);
}

u32 chance_below(u32 n)
{
	return (u32)(chance() >> 33) % n;
}

bool mood_step(struct mood *mood, const struct moods *moods)
{
	if (mood->left-- > 0)
		return false;
	mood->left = moods->shortest + chance_below(moods->longest);
	mood->allocate = moods->percents[chance_below(moods->nr_percents)];
	mood->policy = chance_below(moods->policies);
	return true;
}
