// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Finding hops. At the start all sockets are looked at, with their owners from /proc; after
 * that the kernel notes what matches no rule and who listens, so that looking again costs
 * nothing on a host where nothing changes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "counting_discover.h"
#include "counting_pair.h"
#include "counting_reload.h"
#include "discover.h"
#include "log.h"
#include "owner.h"

struct seen {
	struct ft_seen_listener *listener;
	struct ft_seen_connect *connect;
	struct ft_seen_vote *vote;
	struct ft_seen_calls calls[FT_MAX_HOPS];
	unsigned int nlisteners, nconnects, nvotes, ncalls, size_listeners, size_connects;
};

static void seen_close(struct seen *s)
{
	free(s->listener);
	free(s->connect);
	free(s->vote);
}

static struct ft_seen_listener *new_listener(struct seen *s)
{
	if (s->nlisteners == s->size_listeners) {
		unsigned int size = s->size_listeners ? 2 * s->size_listeners : 64;
		void *p = realloc(s->listener, size * sizeof(*s->listener));

		if (!p)
			return NULL;
		s->listener = p;
		s->size_listeners = size;
	}
	s->listener[s->nlisteners] = (struct ft_seen_listener){0};
	return &s->listener[s->nlisteners++];
}

static struct ft_seen_connect *new_connect(struct seen *s)
{
	if (s->nconnects == s->size_connects) {
		unsigned int size = s->size_connects ? 2 * s->size_connects : 64;
		void *p = realloc(s->connect, size * sizeof(*s->connect));

		if (!p)
			return NULL;
		s->connect = p;
		s->size_connects = size;
	}
	s->connect[s->nconnects] = (struct ft_seen_connect){0};
	return &s->connect[s->nconnects++];
}

static int add_listener(struct seen *s, const uint8_t addr[16], uint16_t port, const char *comm)
{
	struct ft_seen_listener *l = new_listener(s);

	if (!l)
		return -ENOMEM;
	memcpy(l->addr, addr, 16);
	l->port = port;
	memcpy(l->process, comm, FT_COMM_LEN);
	return 0;
}

/* One row per (process, address, port): a busy host has thousands of connections. */
static int add_connect(struct seen *s, const uint8_t addr[16], uint16_t port, const char *comm,
		       uint32_t flows)
{
	struct ft_seen_connect *c;

	for (unsigned int i = 0; i < s->nconnects; i++) {
		c = &s->connect[i];
		if (c->rport == port && ft_realm_of(c->raddr) == ft_realm_of(addr) &&
		    !memcmp(c->process, comm, FT_COMM_LEN)) {
			c->flows += flows;
			return 0;
		}
	}
	c = new_connect(s);
	if (!c)
		return -ENOMEM;
	memcpy(c->raddr, addr, 16);
	c->rport = port;
	c->flows = flows;
	memcpy(c->process, comm, FT_COMM_LEN);
	return 0;
}

static int add_row(struct seen *s, const struct ft_sock_row *row, const struct ft_owners *owners)
{
	static const char nobody[FT_COMM_LEN];
	const struct ft_owner *o = ft_owners_find(owners, row->inode);
	const char *comm = o ? o->comm : nobody;

	if (row->state == FT_LISTEN)
		return add_listener(s, row->laddr, row->lport, comm);
	if (!row->accepted && o && row->state == FT_ESTABLISHED)
		return add_connect(s, row->raddr, row->rport, comm, 1);
	return 0;
}

/* Where nobody votes, only how much its listeners have accepted may tell for which of them a
 * process connects. */
static void count_accepted(struct seen *s, const struct ft_sock_row *row, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (unsigned int j = 0; row[i].accepted && j < s->nlisteners; j++)
			if (s->listener[j].port == row[i].lport)
				s->listener[j].flows++;
}

/* The dump says `accepted` from the ports that the kernel knows; before the first walk it
 * knows none, so take them from the listening rows. */
static void mark_accepted(struct ft_sock_row *row, size_t n)
{
	_free_ uint8_t *ports = calloc(65536, 1);

	if (!ports)
		return;
	for (size_t i = 0; i < n; i++)
		if (row[i].state == FT_LISTEN)
			ports[row[i].lport] = 1;
	for (size_t i = 0; i < n; i++)
		if (row[i].state != FT_LISTEN)
			row[i].accepted |= ports[row[i].lport];
}

static void say_no_room(struct ft_counting *c, unsigned int dropped)
{
	ft_probe_set_no_room(&c->probe, dropped);
	if (!c->rules_full)
		ft_log(FT_LOG_WARN,
		       "more hops on this host than fit (%d): configure the ones "
		       "that matter; start from: fantail discover",
		       FT_MAX_HOPS);
	c->rules_full = true;
}

/* Into c->config, each hop at its place. Whether that has changed it, or -errno. */
static int merge(struct ft_counting *c, const struct seen *s)
{
	_free_ struct ft_config *was = calloc(1, sizeof(*was)), *found = calloc(1, sizeof(*found));
	_free_ struct ft_hop_def *def = calloc(FT_MAX_HOPS, sizeof(*def));
	const struct ft_seen seen = {
		.listener = s->listener,
		.nlisteners = s->nlisteners,
		.connect = s->connect,
		.nconnects = s->nconnects,
		.vote = s->vote,
		.nvotes = s->nvotes,
		.calls = s->calls,
		.ncalls = s->ncalls,
		.voting = ft_counting_may_pair(c),
	};
	unsigned int dropped = 0;
	uint32_t n = 0;
	int err;

	if (!was || !found || !def)
		return -ENOMEM;
	*was = c->config;
	ft_config_drop_retired(was);
	*found = *was;
	ft_discover_merge(found, &seen, &dropped);
	if (dropped)
		say_no_room(c, dropped);
	if (ft_config_same_hops(found, was))
		return 0;
	err = ft_probe_get_hops(&c->probe, def, &n);
	if (!err)
		err = ft_config_keep_places(found, def, n);
	if (err == -E2BIG)
		say_no_room(c, found->nhops - was->nhops);
	if (err)
		return err == -E2BIG ? 0 : err;
	c->config = *found;
	return 1;
}

int ft_counting_discover_all(struct ft_counting *c)
{
	__attribute__((cleanup(seen_close))) struct seen s = {0};
	_free_ struct ft_sock_row *row = NULL;
	struct ft_owners owners = {0};
	size_t n = 0;
	int err = ft_probe_dump(&c->probe, c->ns.fd, c->ns.n, &row, &n);

	if (err == -EOPNOTSUPP) /* sockops: nothing to see before it happens */
		return 0;
	if (!err)
		err = ft_probe_owners(&c->probe, &owners);
	if (!err)
		mark_accepted(row, n);
	for (size_t i = 0; !err && i < n; i++)
		if (!c->probe.meta.source && (ft_probe_has_netns(&c->probe, 0) ||
					      ft_probe_has_netns(&c->probe, row[i].netns)))
			err = add_row(&s, &row[i], &owners);
	if (!err)
		count_accepted(&s, row, n);
	ft_owners_close(&owners);
	if (!err)
		err = merge(c, &s);
	return err < 0 ? err : 0;
}

struct look {
	struct seen seen;
	uint64_t connects; /* without a hop */
	bool unknown_owner;
};

static int see_listener(void *ctx, uint64_t key, const struct ft_listener *l)
{
	struct look *look = ctx;

	(void)key;
	if (!l->comm[0])
		look->unknown_owner = true;
	return add_listener(&look->seen, l->addr, l->port, l->comm);
}

static uint32_t flows_counted(const struct ft_snapshot *s, const char *name)
{
	uint64_t flows = 0;

	for (uint32_t i = 0; i < s->nhops; i++)
		if (!s->def[i].retired && !strcmp(s->def[i].name, name))
			flows = s->stats[i].opened + s->stats[i].preexisting;
	return flows < UINT32_MAX ? flows : UINT32_MAX;
}

static void weigh_callers(const struct ft_counting *c, struct seen *s)
{
	for (unsigned int i = 0; i < c->config.nhops; i++) {
		const struct ft_config_hop *h = &c->config.hop[i];
		struct ft_seen_calls *to = &s->calls[s->ncalls];

		if (h->side != FT_CONNECT)
			continue;
		memcpy(to->connect, h->name, sizeof(to->connect));
		to->flows = flows_counted(&c->snapshot, h->name);
		s->ncalls++;
	}
}

/* What each accept hop has counted, at one of its listeners. */
static void weigh_listeners(const struct ft_counting *c, struct seen *s)
{
	for (unsigned int i = 0; i < c->config.nhops; i++) {
		const struct ft_config_hop *h = &c->config.hop[i];
		unsigned int j = 0;

		while (j < s->nlisteners &&
		       (s->listener[j].port != h->endpoint[0].port_lo ||
			strncmp(s->listener[j].process, h->process, FT_COMM_LEN - 1)))
			j++;
		if (h->side == FT_ACCEPT && j < s->nlisteners)
			s->listener[j].flows += flows_counted(&c->snapshot, h->name);
	}
}

static int see_candidate(void *ctx, const struct ft_candidate_key *key,
			 const struct ft_candidate *candidate)
{
	struct look *look = ctx;

	look->connects += candidate->count;
	return add_connect(&look->seen, candidate->raddr, key->port, key->comm,
			   candidate->count > 1000000 ? 1000000 : candidate->count);
}

/* The votes of connect hop b; ret NULL: only their number. */
static unsigned int votes_of(const struct ft_counting *c, unsigned int b, struct ft_seen_vote *ret)
{
	const struct ft_config_hop *connect = &c->config.hop[b];
	unsigned int n = 0;

	for (unsigned int a = 0; a < c->config.nhops; a++) {
		const struct ft_config_hop *accept = &c->config.hop[a];
		uint64_t votes = ft_counting_votes(c, b, a);

		if (accept->side != FT_ACCEPT || accept->retired || !votes)
			continue;
		if (ret) {
			memcpy(ret[n].connect, connect->name, sizeof(ret[n].connect));
			memcpy(ret[n].accept, accept->name, sizeof(ret[n].accept));
			ret[n].votes = votes;
		}
		n++;
	}
	return n;
}

static int count_votes(const struct ft_counting *c, struct seen *s)
{
	unsigned int n[FT_MAX_HOPS] = {0}, all = 0;

	for (unsigned int b = 0; b < c->config.nhops; b++)
		if (c->config.hop[b].side == FT_CONNECT && c->config.hop[b].discovered)
			all += n[b] = votes_of(c, b, NULL);
	s->vote = calloc(all + 1, sizeof(*s->vote));
	if (!s->vote)
		return -ENOMEM;
	for (unsigned int b = 0; b < c->config.nhops; b++)
		if (n[b])
			s->nvotes += votes_of(c, b, &s->vote[s->nvotes]);
	return 0;
}

int ft_counting_discover_new(struct ft_counting *c)
{
	struct look look = {0};
	int err = ft_probe_candidates(&c->probe, see_candidate, &look);

	if (!err)
		err = ft_probe_listeners(&c->probe, see_listener, &look);
	weigh_listeners(c, &look.seen);
	weigh_callers(c, &look.seen);
	if (!err)
		err = count_votes(c, &look.seen);
	if (!err)
		err = merge(c, &look.seen);
	seen_close(&look.seen);
	ft_probe_add_undiscovered(&c->probe, look.connects);
	return err > 0 ? ft_counting_apply(c) : err;
}

/* --- pinned hops back into configuration --- */

static unsigned int prefix_len(const __u64 mask[2])
{
	return __builtin_popcountll(mask[0]) + __builtin_popcountll(mask[1]);
}

static void restore_endpoint(const struct ft_rule *r, struct ft_config_hop *ret)
{
	const __u64 *addr = r->side == FT_ACCEPT ? r->local : r->peer;
	const __u64 *mask = r->side == FT_ACCEPT ? r->local_mask : r->peer_mask;
	struct ft_endpoint *e;

	if (ret->nendpoints == FT_HOP_ENDPOINTS)
		return;
	e = &ret->endpoint[ret->nendpoints++];
	*e = (struct ft_endpoint){.port_lo = r->port_lo, .port_hi = r->port_hi};
	memcpy(e->prefix.addr, addr, sizeof(e->prefix.addr));
	e->prefix.len = prefix_len(mask);
}

static void restore_hop(const struct ft_hop_def *all, unsigned int i, const struct ft_rules *rules,
			struct ft_config_hop *ret)
{
	const struct ft_hop_def *def = &all[i];

	memcpy(ret->name, def->name, sizeof(ret->name));
	memcpy(ret->process, def->process, sizeof(ret->process));
	if (def->from >= 0 && !all[def->from].retired)
		memcpy(ret->from, all[def->from].name, sizeof(ret->from));
	ret->side = def->side;
	ret->limit = def->limit;
	ret->discovered = true;
	ret->order = i;
	for (uint32_t r = 0; r < rules->count && r < FT_MAX_RULES; r++)
		if (rules->rule[r].hop == i)
			restore_endpoint(&rules->rule[r], ret);
}

int ft_counting_restore(struct ft_counting *c)
{
	_free_ struct ft_hop_def *def = calloc(FT_MAX_HOPS, sizeof(*def));
	_free_ struct ft_rules *rules = calloc(1, sizeof(*rules));
	uint32_t n = 0;
	int err = def && rules ? ft_probe_get_hops(&c->probe, def, &n) : -ENOMEM, configured = 0;

	if (!err)
		err = ft_probe_get_rules(&c->probe, rules);
	if (err)
		return err;
	memset(c->config.hop, 0, sizeof(c->config.hop));
	c->config.nhops = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct ft_config_hop *h = &c->config.hop[c->config.nhops];

		restore_hop(def, i, rules, h);
		if (def[i].discovered && !def[i].retired && h->nendpoints)
			c->config.nhops++;
		else
			*h = (struct ft_config_hop){0};
		configured += !def[i].discovered && !def[i].retired;
	}
	err = ft_config_keep_places(&c->config, def, n);
	return err ? err : configured;
}

/* --- who listens --- */

static int name_owner(void *ctx, uint64_t key, const struct ft_listener *l)
{
	struct ft_counting *c = ctx;

	(void)key;
	for (unsigned int i = 0; l->comm[0] && i < c->config.nhops; i++) {
		struct ft_config_hop *h = &c->config.hop[i];

		if (h->side != FT_ACCEPT || h->process[0] || c->snapshot.def[i].process[0])
			continue;
		for (unsigned int e = 0; e < h->nendpoints; e++)
			if (l->port >= h->endpoint[e].port_lo && l->port <= h->endpoint[e].port_hi)
				ft_probe_set_process(&c->probe, i, l->comm);
	}
	return 0;
}

void ft_counting_name_owners(struct ft_counting *c)
{
	ft_probe_listeners(&c->probe, name_owner, c);
}
