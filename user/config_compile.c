/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hops -> the kernel's hop and rule tables. The kernel takes the
 * first rule that matches: configured hops keep the file's order, but discovered ones come in
 * the order in which they were found, so theirs are ranked, the more specific first. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_internal.h"

int ft_config_find(const struct ft_config *c, const char *name)
{
	for (unsigned int i = 0; i < c->nhops; i++) {
		if (!c->hop[i].retired && !strcmp(c->hop[i].name, name))
			return (int)i;
	}
	return -1;
}

/* Public destinations and listeners on any address say only a port: they must not take what
 * a hop with an address asks for. Nor may a destination of unknown owner take another's. */
unsigned int ft_config_rank(const struct ft_config_hop *h)
{
	bool any = h->nendpoints && !h->endpoint[0].prefix.len;
	bool ownerless = h->side == FT_CONNECT && !h->process[0];

	return h->discovered ? 2U * ownerless + any : 0;
}

unsigned int ft_config_order(const struct ft_config *c, unsigned int ret[FT_MAX_HOPS])
{
	unsigned int n = 0;

	for (unsigned int rank = 0; rank < FT_CONFIG_RANKS; rank++)
		for (unsigned int order = 0; order < FT_MAX_HOPS; order++)
			for (unsigned int i = 0; i < c->nhops; i++) {
				const struct ft_config_hop *h = &c->hop[i];

				if (!h->retired && h->order == order && ft_config_rank(h) == rank)
					ret[n++] = i;
			}
	return n;
}

/* A rule has one condition on the peer; for connect the endpoint's address is one, too. */
static int peer_of(const struct ft_config_hop *h, const struct ft_endpoint *e,
		   struct ft_prefix *ret, char *err, size_t err_len)
{
	struct ft_prefix none = {0};
	const struct ft_prefix *own = h->side == FT_CONNECT ? &e->prefix : &none;
	const struct ft_prefix *peer = h->has_peer ? &h->peer : &none;
	const struct ft_prefix *wide = own->len < peer->len ? own : peer;
	const struct ft_prefix *narrow = own->len < peer->len ? peer : own;
	char endpoint[FT_ADDR_TEXT], condition[FT_ADDR_TEXT];

	ft_endpoint_format(e, endpoint);
	ft_prefix_format(peer, condition);
	if (peer->negated && own->len) {
		snprintf(
			err, err_len,
			"\"%s\" already has an address, so peer \"%s\" would be a second condition "
			"on it and a hop can have only one",
			endpoint, condition);
		return -EINVAL;
	}
	if (!peer->negated && !ft_prefix_contains(wide, narrow->addr)) {
		snprintf(err, err_len, "\"%s\" and peer \"%s\" have no address in common", endpoint,
			 condition);
		return -EINVAL;
	}
	*ret = peer->negated ? *peer : *narrow;
	return 0;
}

static void put_prefix(const struct ft_prefix *p, __u64 ret_addr[2], __u64 ret_mask[2])
{
	uint8_t mask[16], addr[16];

	ft_prefix_mask(p->len, mask);
	for (unsigned int i = 0; i < 16; i++)
		addr[i] = p->addr[i] & mask[i];
	memcpy(ret_addr, addr, 16);
	memcpy(ret_mask, mask, 16);
}

/* The kernel's names are zero-padded; ours may have anything after the first NUL. */
static __u64 comm_tag(const char process[FT_COMM_LEN])
{
	char comm[FT_COMM_LEN] = {0};
	__u64 word[2];

	memcpy(comm, process, strnlen(process, sizeof(comm) - 1));
	memcpy(word, comm, sizeof(word));
	return FT_COMM_TAG(word[0], word[1]);
}

int ft_config_rule(const struct ft_config_hop *h, const struct ft_endpoint *e, unsigned int hop,
		   struct ft_rule *ret, char *err, size_t err_len)
{
	struct ft_rule r = {.side = h->side, .hop = (__u8)hop};
	struct ft_prefix peer;

	if (peer_of(h, e, &peer, err, err_len))
		return -EINVAL;
	put_prefix(&peer, r.peer, r.peer_mask);
	if (peer.negated)
		r.flags |= FT_RULE_NOT_PEER;
	if (h->side == FT_ACCEPT)
		put_prefix(&e->prefix, r.local, r.local_mask);
	r.port_lo = e->port_lo;
	r.port_hi = e->port_hi;
	/* Who listens on a discovered port may be learnt after its first connection. */
	if (h->process[0] && !(h->discovered && h->side == FT_ACCEPT)) {
		r.flags |= FT_RULE_COMM;
		r.comm_tag = comm_tag(h->process);
	}
	*ret = r;
	return 0;
}

/* All endpoints joined by ",", or as many of them as fit whole. */
static void join_endpoints(const struct ft_config_hop *h, char ret[FT_TEXT_LEN])
{
	size_t len = 0;

	ret[0] = '\0';
	for (unsigned int i = 0; i < h->nendpoints; i++) {
		char text[FT_ADDR_TEXT];
		size_t more;

		ft_endpoint_format(&h->endpoint[i], text);
		more = strlen(text) + (len > 0);
		if (len + more >= FT_TEXT_LEN)
			return;
		len += (size_t)snprintf(ret + len, FT_TEXT_LEN - len, "%s%s", len ? "," : "", text);
	}
}

static void define(const struct ft_config *c, const struct ft_config_hop *h, struct ft_hop_def *ret)
{
	*ret = (struct ft_hop_def){
		.from = (__s16)(h->from[0] ? ft_config_find(c, h->from) : -1),
		.side = h->side,
		.discovered = h->discovered,
		.limit = h->limit,
		.retired = h->retired,
		.keepalive_ms = h->keepalive_ms ? h->keepalive_ms : FT_DEFAULT_KEEPALIVE_MS,
	};
	memcpy(ret->name, h->name, strnlen(h->name, sizeof(ret->name) - 1));
	memcpy(ret->process, h->process, strnlen(h->process, sizeof(ret->process) - 1));
	join_endpoints(h, ret->port);
}

static int add_rules(const struct ft_config_hop *h, unsigned int hop, struct ft_rules *rules)
{
	for (unsigned int i = 0; i < h->nendpoints; i++) {
		if (rules->count == FT_MAX_RULES)
			return -E2BIG;
		if (ft_config_rule(h, &h->endpoint[i], hop, &rules->rule[rules->count], NULL, 0))
			return -EINVAL;
		rules->count++;
	}
	return 0;
}

int ft_config_compile(const struct ft_config *c, struct ft_hop_def def[FT_MAX_HOPS],
		      struct ft_rules *rules)
{
	struct ft_rules made = {0};
	unsigned int order[FT_MAX_HOPS], n = ft_config_order(c, order);
	int err;

	for (unsigned int i = 0; i < n; i++) {
		err = add_rules(&c->hop[order[i]], order[i], &made);
		if (err)
			return err;
	}
	for (unsigned int i = 0; i < c->nhops; i++)
		define(c, &c->hop[i], &def[i]);
	*rules = made;
	return 0;
}
