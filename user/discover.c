/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hops from what runs on the host. Once made, a hop keeps its index and its name: counters and
 * dashboards hang on them. Its `from` is no guess: it is filled in when there is no doubt, and
 * taken away when it turns out to be false. */
#include <stdio.h>
#include <string.h>

#include "discover.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define V4(a, b)                                                                                   \
	{                                                                                          \
		[10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b)                                   \
	}

/* The realms that are not "everything else". */
static const struct realm_prefix {
	enum ft_realm realm;
	struct ft_prefix prefix;
} realms[] = {
	{FT_REALM_LOOPBACK, {.addr = V4(127, 0), .len = 96 + 8}},
	{FT_REALM_LOOPBACK, {.addr = {[15] = 1}, .len = 128}},
	{FT_REALM_PRIVATE, {.addr = V4(10, 0), .len = 96 + 8}},
	{FT_REALM_PRIVATE, {.addr = V4(172, 16), .len = 96 + 12}},
	{FT_REALM_PRIVATE, {.addr = V4(192, 168), .len = 96 + 16}},
	{FT_REALM_PRIVATE, {.addr = V4(100, 64), .len = 96 + 10}},
	{FT_REALM_PRIVATE, {.addr = V4(169, 254), .len = 96 + 16}},
	{FT_REALM_PRIVATE, {.addr = {0xfc}, .len = 7}},
	{FT_REALM_PRIVATE, {.addr = {0xfe, 0x80}, .len = 10}},
};

static const char *const realm_suffix[] = {
	[FT_REALM_LOOPBACK] = "",
	[FT_REALM_PRIVATE] = "@private",
	[FT_REALM_PUBLIC] = "@public",
};
_Static_assert(COUNT(realm_suffix) == FT_NREALMS, "a suffix for every realm");

enum ft_realm ft_realm_of(const uint8_t addr[16])
{
	for (unsigned int i = 0; i < COUNT(realms); i++) {
		if (ft_prefix_contains(&realms[i].prefix, addr))
			return realms[i].realm;
	}
	return FT_REALM_PUBLIC;
}

static void add_endpoint(struct ft_config_hop *h, const struct ft_prefix *p, uint16_t port)
{
	struct ft_endpoint *e = &h->endpoint[h->nendpoints++];

	*e = (struct ft_endpoint){.prefix = *p, .port_lo = port, .port_hi = port};
}

static void set_process(struct ft_config_hop *h, const char process[FT_COMM_LEN])
{
	memset(h->process, 0, sizeof(h->process));
	memcpy(h->process, process, strnlen(process, sizeof(h->process) - 1));
}

static const struct ft_config_hop *find_name(const struct ft_config *c, const char *name)
{
	for (unsigned int i = 0; i < c->nhops; i++) {
		if (!strcmp(c->hop[i].name, name))
			return &c->hop[i];
	}
	return NULL;
}

/* "nginx:8080", cut in the process's part to fit; "-2", "-3", … if it is taken. */
static void name_hop(const struct ft_config *c, struct ft_config_hop *h, const char *tail)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.:>@-";
	const char *unknown = h->side == FT_ACCEPT ? "port" : "any";
	char process[FT_COMM_LEN], number[12] = "";
	bool taken = true;

	snprintf(process, sizeof(process), "%s", h->process[0] ? h->process : unknown);
	for (char *at = process; *at; at++) {
		if (!strchr(letters, *at))
			*at = '_';
	}
	for (unsigned int n = 2; taken; n++) {
		size_t room = sizeof(h->name) - 1 - strlen(tail) - strlen(number);

		if (strlen(process) > room)
			process[room] = '\0';
		strcpy(stpcpy(stpcpy(h->name, process), tail), number);
		taken = find_name(c, h->name);
		snprintf(number, sizeof(number), "-%u", n);
	}
}

static bool same_prefix(const struct ft_prefix *a, const struct ft_prefix *b)
{
	return a->len == b->len && !memcmp(a->addr, b->addr, 16);
}

static bool same_process(const char a[FT_COMM_LEN], const char b[FT_COMM_LEN])
{
	return !strncmp(a, b, FT_COMM_LEN - 1);
}

static const struct ft_endpoint *endpoint_at(const struct ft_config_hop *h, const uint8_t addr[16],
					     uint16_t port)
{
	for (unsigned int i = 0; i < h->nendpoints; i++) {
		const struct ft_endpoint *e = &h->endpoint[i];

		if (port >= e->port_lo && port <= e->port_hi &&
		    ft_prefix_contains(&e->prefix, addr))
			return e;
	}
	return NULL;
}

/* Does a hop of the config file stand for this already? */
static bool configured(const struct ft_config *c, uint8_t side, const char process[FT_COMM_LEN],
		       const uint8_t addr[16], uint16_t port)
{
	for (unsigned int i = 0; i < c->nhops; i++) {
		const struct ft_config_hop *h = &c->hop[i];
		bool peer = side == FT_ACCEPT || !h->has_peer || ft_prefix_contains(&h->peer, addr);

		if (!h->discovered && h->side == side && peer && endpoint_at(h, addr, port) &&
		    (!h->process[0] || same_process(h->process, process)))
			return true;
	}
	return false;
}

/* The discovered hop that begins with, or has among its endpoints, just this one. */
static struct ft_config_hop *find_exact(struct ft_config *c, uint8_t side,
					const struct ft_prefix *p, uint16_t port,
					const char *process)
{
	for (unsigned int i = 0; i < c->nhops; i++) {
		struct ft_config_hop *h = &c->hop[i];

		if (!h->discovered || h->side != side || h->endpoint[0].port_lo != port ||
		    (process && !same_process(h->process, process)))
			continue;
		for (unsigned int j = 0; j < h->nendpoints; j++) {
			if (same_prefix(&h->endpoint[j].prefix, p))
				return h;
		}
	}
	return NULL;
}

static bool rules_left(const struct ft_config *c, unsigned int more)
{
	for (unsigned int i = 0; i < c->nhops; i++)
		more += c->hop[i].nendpoints;
	return more <= FT_MAX_RULES;
}

/* Outcome for one fact. */
enum merged { KNOWN, ADDED, DROPPED };

static enum merged add_hop(struct ft_config *c, struct ft_config_hop *h, const char *tail)
{
	if (c->nhops >= FT_MAX_HOPS || !rules_left(c, h->nendpoints))
		return DROPPED;
	name_hop(c, h, tail);
	h->order = c->nhops;
	c->hop[c->nhops++] = *h;
	return ADDED;
}

/* One more address of a hop's process. Any address swallows the single ones, and so do more
 * addresses than a hop can have. */
static enum merged add_address(struct ft_config *c, struct ft_config_hop *h,
			       const struct ft_prefix *p, uint16_t port)
{
	static const struct ft_prefix any;

	if (!h->endpoint[0].prefix.len)
		return KNOWN;
	if (h->nendpoints == FT_HOP_ENDPOINTS)
		p = &any;
	if (!p->len) {
		if (find_exact(c, FT_ACCEPT, p, port, NULL))
			return DROPPED;
		h->nendpoints = 0;
	}
	if (!rules_left(c, 1))
		return DROPPED;
	add_endpoint(h, p, port);
	return KNOWN;
}

static enum merged merge_listener(struct ft_config *c, const struct ft_seen_listener *l)
{
	char tail[FT_NAME_LEN];
	struct ft_config_hop new = {.side = FT_ACCEPT, .discovered = true}, *h;
	struct ft_prefix p = {0};

	if (!l->port || configured(c, FT_ACCEPT, l->process, l->addr, l->port))
		return KNOWN;
	if (!ft_addr_is_any(l->addr)) {
		memcpy(p.addr, l->addr, 16);
		p.len = 128;
	}
	/* Rules cannot tell two owners of one address and port: the first one has the hop. */
	h = find_exact(c, FT_ACCEPT, &p, l->port, NULL);
	if (h) {
		if (!h->process[0])
			set_process(h, l->process);
		return KNOWN;
	}
	for (unsigned int i = 0; i < c->nhops; i++) {
		h = &c->hop[i];
		if (h->discovered && h->side == FT_ACCEPT && h->endpoint[0].port_lo == l->port &&
		    same_process(h->process, l->process))
			return add_address(c, h, &p, l->port);
	}
	set_process(&new, l->process);
	add_endpoint(&new, &p, l->port);
	snprintf(tail, sizeof(tail), ":%u", l->port);
	return add_hop(c, &new, tail);
}

static enum merged merge_connect(struct ft_config *c, const struct ft_seen_connect *s)
{
	char tail[FT_NAME_LEN];
	struct ft_config_hop new = {.side = FT_CONNECT, .discovered = true};
	enum ft_realm realm = ft_realm_of(s->raddr);
	struct ft_prefix any = {0};

	if (!s->rport || configured(c, FT_CONNECT, s->process, s->raddr, s->rport))
		return KNOWN;
	for (unsigned int i = 0; i < COUNT(realms); i++) {
		if (realms[i].realm == realm)
			add_endpoint(&new, &realms[i].prefix, s->rport);
	}
	if (!new.nendpoints)
		add_endpoint(&new, &any, s->rport);
	if (find_exact(c, FT_CONNECT, &new.endpoint[0].prefix, s->rport, s->process))
		return KNOWN;
	set_process(&new, s->process);
	snprintf(tail, sizeof(tail), "->%u%s", s->rport, realm_suffix[realm]);
	return add_hop(c, &new, tail);
}

/* Would hop i, made on behalf of hop j, be its own ancestor? */
static bool makes_loop(const struct ft_config *c, unsigned int i, unsigned int j)
{
	const struct ft_config_hop *h = &c->hop[j];

	for (unsigned int steps = 0; h && steps <= c->nhops; steps++) {
		if (h == &c->hop[i])
			return true;
		h = h->from[0] ? find_name(c, h->from) : NULL;
	}
	return h;
}

/* A connect hop to loopback reaches what listens on that port there or on any address. */
static bool reaches(const struct ft_config_hop *connect, const struct ft_config_hop *accept)
{
	for (unsigned int i = 0; i < accept->nendpoints; i++) {
		const struct ft_endpoint *a = &accept->endpoint[i];

		if (a->prefix.len && ft_realm_of(a->prefix.addr) != FT_REALM_LOOPBACK)
			continue;
		for (unsigned int j = 0; j < connect->nendpoints; j++) {
			const struct ft_endpoint *b = &connect->endpoint[j];

			if (ft_realm_of(b->prefix.addr) == FT_REALM_LOOPBACK &&
			    b->port_lo <= a->port_hi && a->port_lo <= b->port_hi)
				return true;
		}
	}
	return false;
}

/* --- from, of what is connected --- */

static uint64_t flows_of(const struct ft_config_hop *h, const struct ft_seen *s)
{
	uint64_t flows = 0;

	for (unsigned int i = 0; i < s->nlisteners; i++) {
		const struct ft_seen_listener *l = &s->listener[i];

		if (same_process(h->process, l->process) && endpoint_at(h, l->addr, l->port))
			flows += l->flows;
	}
	return flows;
}

/* accept NULL: for whomsoever. */
static uint64_t votes_of(const struct ft_config_hop *connect, const struct ft_config_hop *accept,
			 const struct ft_seen *s)
{
	uint64_t votes = 0;

	for (unsigned int i = 0; i < s->nvotes; i++)
		if (!strcmp(s->vote[i].connect, connect->name) &&
		    (!accept || !strcmp(s->vote[i].accept, accept->name)))
			votes += s->vote[i].votes;
	return votes;
}

unsigned int ft_discover_candidates(const struct ft_config *c, unsigned int hop,
				    unsigned int ret[FT_MAX_HOPS])
{
	const struct ft_config_hop *h = &c->hop[hop];
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->nhops; i++) {
		const struct ft_config_hop *a = &c->hop[i];

		/* its own target is not its cause */
		if (a->side == FT_ACCEPT && h->process[0] && same_process(a->process, h->process) &&
		    !reaches(h, a) && !makes_loop(c, hop, i))
			ret[n++] = i;
	}
	return n;
}

static bool is_share(uint64_t part, uint64_t all, unsigned int percent)
{
	unsigned int rest = 100 - percent;

	return all - part <= all / 100 * rest + all % 100 * rest / 100;
}

/* The accept hop of the connect hop's process: the only one, or the one beyond doubt. */
static int accept_of_owner(const struct ft_config *c, unsigned int hop, const struct ft_seen *s)
{
	const struct ft_config_hop *h = &c->hop[hop];
	unsigned int candidate[FT_MAX_HOPS], n = ft_discover_candidates(c, hop, candidate);
	uint64_t all = s->voting ? votes_of(h, NULL, s) : 0, most = 0;
	int best = -1;

	if (n == 1)
		return (int)candidate[0];
	for (unsigned int i = 0; i < n; i++) {
		const struct ft_config_hop *a = &c->hop[candidate[i]];
		uint64_t weight = s->voting ? votes_of(h, a, s) : flows_of(a, s);

		if (!s->voting)
			all += weight;
		if (weight > most) {
			best = (int)candidate[i];
			most = weight;
		}
	}
	return most >= FT_DISCOVER_ENOUGH && is_share(most, all, FT_DISCOVER_SURE) ? best : -1;
}

/* Whether votes speak against the `from` of a connect hop by now. */
static bool is_doubtful(const struct ft_config *c, unsigned int hop, const struct ft_seen *s)
{
	const struct ft_config_hop *h = &c->hop[hop], *from = find_name(c, h->from);
	unsigned int candidate[FT_MAX_HOPS];
	uint64_t all = s->voting ? votes_of(h, NULL, s) : 0;

	return all >= FT_DISCOVER_ENOUGH && from &&
	       !is_share(votes_of(h, from, s), all, FT_DISCOVER_DOUBT) &&
	       ft_discover_candidates(c, hop, candidate) > 1;
}

/* --- from, of what is accepted --- */

static uint64_t calls_of(const struct ft_config_hop *connect, const struct ft_seen *s)
{
	uint64_t flows = 0;

	for (unsigned int i = 0; i < s->ncalls; i++)
		if (!strcmp(s->calls[i].connect, connect->name))
			flows += s->calls[i].flows;
	return flows;
}

/* The loopback connect hops that lead to this accept hop: their number, and which. */
static unsigned int callers(const struct ft_config *c, unsigned int hop,
			    unsigned int ret[FT_MAX_HOPS])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->nhops; i++)
		if (c->hop[i].side == FT_CONNECT && reaches(&c->hop[i], &c->hop[hop]))
			ret[n++] = i;
	return n;
}

/* Whether this caller makes so many of 100 of what the hop has accepted, whoever makes the others:
 * one that has come and gone before it was a hop, or another host. */
static bool makes(const struct ft_config_hop *connect, const struct ft_config_hop *accept,
		  unsigned int percent, const struct ft_seen *s)
{
	uint64_t calls = calls_of(connect, s), all = flows_of(accept, s);

	return calls && (calls >= all || is_share(calls, all, percent));
}

/* The only one, or the one beyond doubt. */
static int caller_of(const struct ft_config *c, unsigned int hop, const struct ft_seen *s)
{
	unsigned int caller[FT_MAX_HOPS], n = callers(c, hop, caller);
	int found = n == 1 ? (int)caller[0] : -1;

	for (unsigned int i = 0; n > 1 && i < n; i++) {
		const struct ft_config_hop *h = &c->hop[caller[i]];

		if (calls_of(h, s) >= FT_DISCOVER_ENOUGH &&
		    makes(h, &c->hop[hop], FT_DISCOVER_SURE, s))
			found = (int)caller[i];
	}
	return found >= 0 && makes_loop(c, hop, (unsigned int)found) ? -1 : found;
}

/* Whether it is made on behalf of others, too. One `curl` among a thousand does not count. */
static bool is_shared(const struct ft_config *c, unsigned int hop, const struct ft_seen *s)
{
	const struct ft_config_hop *from = find_name(c, c->hop[hop].from);
	unsigned int caller[FT_MAX_HOPS];

	return from && callers(c, hop, caller) > 1 &&
	       !makes(from, &c->hop[hop], FT_DISCOVER_DOUBT, s);
}

static bool has_become_false(const struct ft_config *c, unsigned int hop, const struct ft_seen *s)
{
	return c->hop[hop].side == FT_ACCEPT ? is_shared(c, hop, s) : is_doubtful(c, hop, s);
}

/* First what is false, so that it does not stand in the way. Then connect hops: an owner is better
 * evidence than a port. */
static void link_hops(struct ft_config *c, const struct ft_seen *s)
{
	for (unsigned int i = 0; i < c->nhops; i++)
		if (c->hop[i].discovered && c->hop[i].from[0] && has_become_false(c, i, s))
			memset(c->hop[i].from, 0, sizeof(c->hop[i].from));
	for (int side = FT_CONNECT; side >= FT_ACCEPT; side--) {
		for (unsigned int i = 0; i < c->nhops; i++) {
			struct ft_config_hop *h = &c->hop[i];
			int from;

			if (!h->discovered || h->side != side || h->from[0])
				continue;
			from = side == FT_CONNECT ? accept_of_owner(c, i, s) : caller_of(c, i, s);
			if (from >= 0)
				memcpy(h->from, c->hop[from].name, sizeof(h->from));
		}
	}
}

unsigned int ft_discover_merge(struct ft_config *c, const struct ft_seen *seen,
			       unsigned int *ret_dropped)
{
	unsigned int count[] = {[KNOWN] = 0, [ADDED] = 0, [DROPPED] = 0};

	for (unsigned int i = 0; i < seen->nlisteners; i++)
		count[merge_listener(c, &seen->listener[i])]++;
	for (unsigned int i = 0; i < seen->nconnects; i++)
		count[merge_connect(c, &seen->connect[i])]++;
	link_hops(c, seen);
	if (ret_dropped)
		*ret_dropped = count[DROPPED];
	return count[ADDED];
}
