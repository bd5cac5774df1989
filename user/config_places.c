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

static bool same_endpoint(const struct ft_endpoint *a, const struct ft_endpoint *b)
{
	return a->port_lo == b->port_lo && a->port_hi == b->port_hi &&
	       a->prefix.len == b->prefix.len &&
	       !memcmp(a->prefix.addr, b->prefix.addr, sizeof(a->prefix.addr));
}

static bool same_hop(const struct ft_config_hop *a, const struct ft_config_hop *b)
{
	if (a->side != b->side || a->limit != b->limit || a->nendpoints != b->nendpoints ||
	    strcmp(a->name, b->name) != 0 || strcmp(a->from, b->from) != 0 ||
	    strncmp(a->process, b->process, sizeof(a->process)) != 0)
		return false;
	for (unsigned int i = 0; i < a->nendpoints; i++)
		if (!same_endpoint(&a->endpoint[i], &b->endpoint[i]))
			return false;
	return true;
}

bool ft_config_same_hops(const struct ft_config *a, const struct ft_config *b)
{
	if (a->nhops != b->nhops)
		return false;
	for (unsigned int i = 0; i < a->nhops; i++)
		if (!same_hop(&a->hop[i], &b->hop[i]))
			return false;
	return true;
}
