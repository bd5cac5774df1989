// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Finding hops. At the start all sockets are looked at, with their owners from /proc; after
 * that the kernel notes what matches no rule and who listens, so that looking again costs
 * nothing on a host where nothing changes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "counting_discover.h"
#include "discover.h"
#include "log.h"
#include "owner.h"

struct seen {
	struct ft_seen_listener *listener;
	struct ft_seen_connect *connect;
	unsigned int nlisteners, nconnects, size_listeners, size_connects;
};

static void seen_close(struct seen *s)
{
	free(s->listener);
	free(s->connect);
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

/* Which listener has most flows decides what its process connects on behalf of. */
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

/* Merge and tell the kernel. Returns the number of new hops, or -errno. */
static int merge(struct ft_counting *c, const struct seen *s)
{
	unsigned int dropped = 0;
	unsigned int added = ft_discover_merge(&c->config, s->listener, s->nlisteners, s->connect,
					       s->nconnects, &dropped);
	int err;

	if (dropped) {
		ft_probe_set_no_room(&c->probe, dropped);
		if (!c->rules_full)
			ft_log(FT_LOG_WARN,
			       "more hops on this host than fit (%d): configure the ones "
			       "that matter; start from: fantail discover",
			       FT_MAX_HOPS);
		c->rules_full = true;
	}
	if (!added)
		return 0;
	err = ft_probe_set_hops(&c->probe, &c->config);
	return err ? err : (int)added;
}

int ft_counting_discover_all(struct ft_counting *c)
{
	__attribute__((cleanup(seen_close))) struct seen s = {0};
	_free_ struct ft_sock_row *row = NULL;
	struct ft_owners owners = {0};
	size_t n = 0;
	int err = ft_probe_dump(&c->probe, c->ns.fd, c->ns.n, &row, &n);

	if (err == -EOPNOTSUPP) /* sockops: nothing to see before it happens */
		return ft_probe_set_hops(&c->probe, &c->config);
	if (!err)
		err = ft_owners_scan(&owners);
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
	return err > 0 ? 0 : err ? err : ft_probe_set_hops(&c->probe, &c->config);
}

struct look {
	struct seen seen;
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

static int see_candidate(void *ctx, const struct ft_candidate_key *key,
			 const struct ft_candidate *candidate)
{
	struct look *look = ctx;

	return add_connect(&look->seen, candidate->raddr, key->port, key->comm,
			   candidate->count > 1000000 ? 1000000 : candidate->count);
}

int ft_counting_discover_new(struct ft_counting *c)
{
	struct look look = {0};
	int err = ft_probe_candidates(&c->probe, see_candidate, &look);

	if (!err)
		err = ft_probe_listeners(&c->probe, see_listener, &look);
	if (!err)
		err = merge(c, &look.seen);
	seen_close(&look.seen);
	if (err <= 0)
		return err;
	return ft_probe_fill(&c->probe, c->ns.fd, c->ns.n);
}

/* --- pinned hops back into configuration --- */

static int restore_hop(struct ft_config_hop *h, const struct ft_hop_def *def,
		       const struct ft_hop_def *all)
{
	char text[FT_TEXT_LEN], err[128], *save = NULL, *word;

	if (!def->discovered)
		return -EINVAL;
	memcpy(h->name, def->name, sizeof(h->name));
	memcpy(h->process, def->process, sizeof(h->process));
	if (def->from >= 0)
		memcpy(h->from, all[def->from].name, sizeof(h->from));
	h->side = def->side;
	h->limit = def->limit;
	h->discovered = true;
	memcpy(text, def->port, sizeof(text));
	for (word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save))
		if (h->nendpoints == FT_HOP_ENDPOINTS ||
		    ft_endpoint_parse(word, &h->endpoint[h->nendpoints++], err, sizeof(err)))
			return -EINVAL;
	return h->nendpoints ? 0 : -EINVAL;
}

int ft_counting_restore(struct ft_counting *c)
{
	_free_ struct ft_hop_def *def = calloc(FT_MAX_HOPS, sizeof(*def));
	uint32_t n = 0;
	int err = def ? ft_probe_get_hops(&c->probe, def, &n) : -ENOMEM;

	for (uint32_t i = 0; !err && i < n; i++) {
		c->config.hop[i] = (struct ft_config_hop){0};
		err = restore_hop(&c->config.hop[i], &def[i], def);
	}
	c->config.nhops = err ? 0 : n;
	return err;
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
