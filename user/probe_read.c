// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reading what the kernel counted. Counters are summed over CPUs here, in one place; lists
 * walk the tables in batches, because one lookup per key costs four times as much. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "model.h"
#include "probe.h"

/* Add up the per-CPU values of one key; they consist of __u64 only. */
static int add_percpu(const struct ft_probe *p, enum ft_map map, uint32_t key, void *sum,
		      size_t size, uint64_t *scratch)
{
	size_t words = size / sizeof(uint64_t);
	uint64_t *to = sum;

	if (bpf_map_lookup_elem(p->map[map], &key, scratch))
		return -errno;
	for (int cpu = 0; cpu < p->ncpus; cpu++)
		for (size_t i = 0; i < words; i++)
			to[i] += scratch[cpu * words + i];
	return 0;
}

static int read_stats(const struct ft_probe *p, uint32_t hop, struct ft_hop_stats *ret,
		      uint64_t *scratch)
{
	int err = 0;

	for (uint32_t context = 0; !err && context < FT_NCONTEXTS; context++)
		err = add_percpu(p, FT_MAP_STATS, hop * FT_NCONTEXTS + context, ret, sizeof(*ret),
				 scratch);
	return err;
}

int ft_probe_get_hops(const struct ft_probe *p, struct ft_hop_def def[FT_MAX_HOPS],
		      uint32_t *ret_nhops)
{
	struct ft_meta meta;
	uint32_t zero = 0, n;

	if (bpf_map_lookup_elem(p->map[FT_MAP_META], &zero, &meta))
		return -errno;
	n = meta.nhops < FT_MAX_HOPS ? meta.nhops : FT_MAX_HOPS;
	for (uint32_t i = 0; i < n; i++) {
		if (bpf_map_lookup_elem(p->map[FT_MAP_HOPS], &i, &def[i]))
			return -errno;
		/* Whoever wrote it: keep texts terminated and the tree inside the array. */
		def[i].name[FT_NAME_LEN - 1] = 0;
		def[i].port[FT_TEXT_LEN - 1] = 0;
		def[i].process[FT_COMM_LEN - 1] = 0;
		if (def[i].from < -1 || def[i].from >= (int)n)
			def[i].from = -1;
		if (def[i].side >= FT_NSIDES)
			def[i].side = FT_ACCEPT;
	}
	*ret_nhops = n;
	return 0;
}

/* Counted by user space, so it is not among the kernel's counters. */
static void read_meta(const struct ft_probe *p, struct ft_snapshot *ret)
{
	struct ft_meta meta;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(p->map[FT_MAP_META], &zero, &meta))
		return;
	ret->totals.loss[FT_LOSS_NO_RULE_SLOT] += meta.no_rule_slot;
	ret->undiscovered = meta.undiscovered;
}

/* A scan that ends meanwhile gives the half that we read to the next one, seconds later. */
static int read_scan(const struct ft_probe *p, struct ft_snapshot *s)
{
	int err = ft_probe_get_scan(p, &s->scan);

	for (uint32_t i = 0; !err && i < s->nhops; i++)
		err = ft_probe_get_limits(p, i, &s->limits[i]);
	for (uint32_t i = 0; !err && i < s->nhops; i++)
		err = ft_probe_get_pairs(p, i, &s->pairs[i]);
	if (!err)
		err = ft_probe_get_pair_loss(p, &s->pair_loss);
	for (uint32_t i = 0; !err && s->scan.number && i < s->nhops; i++)
		err = ft_probe_found(p, s->scan.number, i, &s->found[i]);
	return err;
}

/* What the audit found to be counted twice, or not at all, long after the event. */
static void add_repairs(struct ft_snapshot *s)
{
	for (uint32_t i = 0; i < s->nhops; i++) {
		const struct ft_hop_limits *l = &s->limits[i];
		struct ft_hop_stats *st = &s->stats[i];

		st->opened += l->repaired_opens;
		st->transition[FT_UNSEEN][FT_ESTABLISHED] += l->repaired_opens;
		st->closed[FT_CLOSED_OTHER] += l->repaired_closes;
		st->transition[FT_ESTABLISHED][FT_CLOSE] += l->repaired_closes;
		s->totals.loss[FT_LOSS_MISSED_OPEN] += l->repaired_opens;
		s->totals.loss[FT_LOSS_MISSED_CLOSE] += l->repaired_closes;
	}
}

int ft_probe_snapshot(const struct ft_probe *p, struct ft_snapshot *ret)
{
	size_t words = sizeof(struct ft_hop_stats) / sizeof(uint64_t); /* the larger of the two */
	_free_ uint64_t *scratch = malloc(words * p->ncpus * sizeof(*scratch));
	int err;

	if (!scratch)
		return -ENOMEM;
	memset(ret, 0, sizeof(*ret));
	ret->start_ns = p->meta.start_ns;
	ret->source = p->meta.source;
	ret->max_flows = FT_ROOM(p->meta.max_flows);
	snprintf(ret->version, sizeof(ret->version), "%.*s", (int)sizeof(p->meta.version) - 1,
		 p->meta.version);
	gethostname(ret->host, sizeof(ret->host) - 1);
	err = ft_probe_get_hops(p, ret->def, &ret->nhops);
	ret->mono_ns = ft_clock_ns(CLOCK_MONOTONIC);
	ret->real_ns = ft_clock_ns(CLOCK_REALTIME);
	for (uint32_t i = 0; !err && i < ret->nhops; i++) {
		ret->peers[i] = FT_PEERS_UNKNOWN;
		err = read_stats(p, i, &ret->stats[i], scratch);
	}
	if (!err)
		err = add_percpu(p, FT_MAP_TOTALS, 0, &ret->totals, sizeof(ret->totals), scratch);
	read_meta(p, ret);
	if (!err)
		err = read_scan(p, ret);
	add_repairs(ret);
	return err;
}

#define BATCH 4096

struct batch {
	void *keys, *values;
	uint32_t size;
};

static void batch_close(struct batch *b)
{
	free(b->keys);
	free(b->values);
}

static int batch_grow(struct batch *b, uint32_t size, size_t key_size, size_t value_size)
{
	void *keys = realloc(b->keys, size * key_size), *values;

	if (!keys)
		return -ENOMEM;
	b->keys = keys;
	values = realloc(b->values, size * value_size);
	if (!values)
		return -ENOMEM;
	b->values = values;
	b->size = size;
	return 0;
}

typedef int (*pair_fn)(void *ctx, const void *key, const void *value);

/* Walk a hash. An entry that comes or goes meanwhile may or may not be seen. */
static int walk(int fd, size_t key_size, size_t value_size, pair_fn fn, void *ctx)
{
	__attribute__((cleanup(batch_close))) struct batch b = {0};
	uint64_t in = 0, out = 0;
	bool first = true, last = false;
	int err = batch_grow(&b, BATCH, key_size, value_size);

	while (!err && !last) {
		uint32_t n = b.size;

		if (bpf_map_lookup_batch(fd, first ? NULL : &in, &out, b.keys, b.values, &n,
					 NULL)) {
			if (errno == ENOSPC) { /* one bucket holds more than the buffer */
				err = batch_grow(&b, 2 * b.size, key_size, value_size);
				continue;
			}
			if (errno != ENOENT)
				return -errno;
			last = true;
		}
		first = false;
		in = out;
		for (uint32_t i = 0; !err && i < n; i++)
			err = fn(ctx, (char *)b.keys + i * key_size,
				 (char *)b.values + i * value_size);
	}
	return err;
}

struct call {
	void *fn, *ctx;
};

static int call_flow(void *ctx, const void *key, const void *value)
{
	const struct call *c = ctx;
	const struct ft_flow *f = value;

	if (f->state == FT_CLOSE) /* no flow: an entry that waits for the next one */
		return 0;
	return ((ft_flow_fn)c->fn)(c->ctx, *(const uint64_t *)key, f);
}

int ft_probe_flows(const struct ft_probe *p, ft_flow_fn fn, void *ctx)
{
	struct call c = {(void *)fn, ctx};

	return walk(p->map[FT_MAP_FLOWS], sizeof(uint64_t), sizeof(struct ft_flow), call_flow, &c);
}

int ft_probe_flow(const struct ft_probe *p, uint64_t key, struct ft_flow *ret)
{
	return bpf_map_lookup_elem(p->map[FT_MAP_FLOWS], &key, ret) ? -errno : 0;
}

static int call_listener(void *ctx, const void *key, const void *value)
{
	const struct call *c = ctx;

	return ((ft_listener_fn)c->fn)(c->ctx, *(const uint64_t *)key, value);
}

int ft_probe_listeners(const struct ft_probe *p, ft_listener_fn fn, void *ctx)
{
	struct call c = {(void *)fn, ctx};

	return walk(p->map[FT_MAP_LISTENERS], sizeof(uint64_t), sizeof(struct ft_listener),
		    call_listener, &c);
}

static int call_port(void *ctx, const void *key, const void *value)
{
	const struct call *c = ctx;

	(void)value;
	return ((ft_port_fn)c->fn)(c->ctx, key);
}

int ft_probe_listening_ports(const struct ft_probe *p, ft_port_fn fn, void *ctx)
{
	struct call c = {(void *)fn, ctx};

	return walk(p->map[FT_MAP_PORTS], sizeof(struct ft_port_key), sizeof(struct ft_port),
		    call_port, &c);
}

static int call_ports(void *ctx, const void *key, const void *value)
{
	const struct call *c = ctx;

	return ((ft_ports_fn)c->fn)(c->ctx, key, value);
}

int ft_probe_ports(const struct ft_probe *p, ft_ports_fn fn, void *ctx)
{
	struct call c = {(void *)fn, ctx};

	return p->map[FT_MAP_PORTS_USED] < 0
		       ? 0
		       : walk(p->map[FT_MAP_PORTS_USED], sizeof(struct ft_ports_key),
			      sizeof(struct ft_ports_used), call_ports, &c);
}

static int call_space(void *ctx, const void *key, const void *value)
{
	const struct call *c = ctx;

	return ((ft_space_fn)c->fn)(c->ctx, *(const uint32_t *)key, value);
}

int ft_probe_spaces(const struct ft_probe *p, ft_space_fn fn, void *ctx)
{
	struct call c = {(void *)fn, ctx};

	return walk(p->map[FT_MAP_SPACES], sizeof(uint32_t), sizeof(struct ft_space), call_space,
		    &c);
}

struct candidates {
	struct ft_candidate_key key[1024];
	struct ft_candidate value[1024];
	unsigned int n;
};

static int collect_candidate(void *ctx, const void *key, const void *value)
{
	struct candidates *c = ctx;

	if (c->n == sizeof(c->key) / sizeof(c->key[0]))
		return 0;
	c->key[c->n] = *(const struct ft_candidate_key *)key;
	c->value[c->n++] = *(const struct ft_candidate *)value;
	return 0;
}

/* Collected first, then removed: nothing is deleted while the table is walked. */
int ft_probe_candidates(struct ft_probe *p, ft_candidate_fn fn, void *ctx)
{
	_free_ struct candidates *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	err = walk(p->map[FT_MAP_CANDIDATES], sizeof(struct ft_candidate_key),
		   sizeof(struct ft_candidate), collect_candidate, c);
	for (unsigned int i = 0; !err && i < c->n; i++) {
		bpf_map_delete_elem(p->map[FT_MAP_CANDIDATES], &c->key[i]);
		err = fn(ctx, &c->key[i], &c->value[i]);
	}
	return err;
}

struct peer {
	uint8_t addr[16];
	uint32_t hop;
};
struct peers {
	struct peer *row;
	size_t n, size;
};

static int collect_peer(void *ctx, uint64_t key, const struct ft_flow *f)
{
	struct peers *p = ctx;

	(void)key;
	if ((f->flags & FT_FLOW_CONNECT) || !(f->flags & FT_FLOW_OPEN))
		return 0;
	if (p->n == p->size) {
		size_t size = p->size ? 2 * p->size : 1024;
		struct peer *row = realloc(p->row, size * sizeof(*row));

		if (!row)
			return -ENOMEM;
		p->row = row;
		p->size = size;
	}
	p->row[p->n].hop = f->hop;
	memcpy(p->row[p->n++].addr, f->raddr, 16);
	return 0;
}

static int by_peer(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct peer));
}

int ft_probe_peers(const struct ft_probe *p, uint32_t nhops, uint32_t peers[FT_MAX_HOPS])
{
	struct peers all = {0};
	int err = ft_probe_flows(p, collect_peer, &all);

	if (!err) {
		memset(peers, 0, nhops * sizeof(*peers));
		if (all.n)
			qsort(all.row, all.n, sizeof(*all.row), by_peer);
		for (size_t i = 0; i < all.n; i++)
			if (all.row[i].hop < nhops && (!i || by_peer(&all.row[i - 1], &all.row[i])))
				peers[all.row[i].hop]++;
	}
	free(all.row);
	return err;
}

int ft_probe_put_sample(struct ft_probe *p, const struct ft_sample *s)
{
	uint32_t slot = s->mono_ns / 1000000000ULL % FT_HISTORY;

	return bpf_map_update_elem(p->map[FT_MAP_HISTORY], &slot, s, BPF_ANY) ? -errno : 0;
}

static int by_time(const void *a, const void *b)
{
	const struct ft_sample *x = a, *y = b;

	return x->mono_ns < y->mono_ns ? -1 : x->mono_ns > y->mono_ns;
}

int ft_probe_get_history(const struct ft_probe *p, struct ft_history *ret)
{
	ret->count = 0;
	for (uint32_t i = 0; i < FT_HISTORY; i++) {
		struct ft_sample *s = &ret->row[ret->count];

		if (bpf_map_lookup_elem(p->map[FT_MAP_HISTORY], &i, s))
			return -errno;
		if (s->mono_ns)
			ret->count++;
	}
	qsort(ret->row, ret->count, sizeof(ret->row[0]), by_time);
	return 0;
}
