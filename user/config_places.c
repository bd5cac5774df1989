/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A hop's index is the place of its counters in the kernel, and of its number in every open flow.
 * So a new configuration takes over the places of the old one, hop by hop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config_internal.h"

static int place_of(const struct ft_config_hop *h, const struct ft_hop_def *old, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (old[i].side == h->side && !strncmp(old[i].name, h->name, FT_NAME_LEN))
			return (int)i;
	return -1;
}

static void retire(const struct ft_hop_def *old, struct ft_config_hop *ret)
{
	*ret = (struct ft_config_hop){.side = old->side, .retired = true};
	memcpy(ret->name, old->name, strnlen(old->name, sizeof(ret->name) - 1));
}

/* Names are the labels of the series: those of counters that somebody else made could be any. */
static bool named_well(const struct ft_hop_def *old, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!ft_config_is_name(old[i].name))
			return false;
		for (uint32_t j = 0; j < i; j++)
			if (!old[i].retired && !old[j].retired && !strcmp(old[i].name, old[j].name))
				return false;
	}
	return true;
}

int ft_config_keep_places(struct ft_config *c, const struct ft_hop_def *old, uint32_t n)
{
	_free_ struct ft_config_hop *hop = calloc(FT_MAX_HOPS, sizeof(*hop));
	unsigned int used = n;

	if (!hop)
		return -ENOMEM;
	if (!named_well(old, n))
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++)
		retire(&old[i], &hop[i]);
	for (unsigned int i = 0; i < c->nhops; i++) {
		int place = place_of(&c->hop[i], old, n);

		if (c->hop[i].retired)
			continue;
		if (place < 0 && used == FT_MAX_HOPS)
			return -E2BIG;
		hop[place < 0 ? used++ : (unsigned int)place] = c->hop[i];
	}
	memcpy(c->hop, hop, sizeof(c->hop));
	c->nhops = used;
	return 0;
}

void ft_config_drop_retired(struct ft_config *c)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->nhops; i++)
		if (!c->hop[i].retired)
			c->hop[n++] = c->hop[i];
	c->nhops = n;
}
