// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reading what the pairing programs found, and removing what they left. Nothing is deleted while
 * its table is walked. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "probe_pair.h"

#define SECOND	  1000000000ULL
#define THREAD_NS (60 * SECOND)

/* --- counters --- */

static void add_words(__u64 *to, const __u64 *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to[i] += from[i];
}

static void keep_max(const struct ft_pair_fanout *f, struct ft_pair_fanout *largest)
{
	for (int rule = 0; rule < FT_NPAIR_RULES; rule++)
		if (f->max[rule] > largest->max[rule])
			largest->max[rule] = f->max[rule];
}

static void add_stats(const struct ft_probe_pair *p, const struct ft_pair_stats *cpu,
		      struct ft_pair_stats *ret)
{
	struct ft_pair_fanout fanout = {0}, reuse = {0};

	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < p->ncpus; i++) {
		add_words((__u64 *)ret, (const __u64 *)&cpu[i], sizeof(*ret) / sizeof(__u64));
		keep_max(&cpu[i].fanout, &fanout);
		keep_max(&cpu[i].reuse, &reuse);
	}
	memcpy(ret->fanout.max, fanout.max, sizeof(fanout.max));
	memcpy(ret->reuse.max, reuse.max, sizeof(reuse.max));
}

/* Where programs may be preempted (see tracepoint.bpf.c), or interrupt each other, the kernel skips
 * some, and says how many (from 5.12 on; of kprobes from 6.7 on). Those of the state have a second
 * one. */
static uint64_t skipped(const struct ft_probe_pair *p)
{
	uint64_t sum = 0;

	for (int i = 0; i < FT_PAIR_LINK_STATE; i++) {
		struct bpf_prog_info info = {0};
		__u32 len = sizeof(info);

		if (p->program[i] >= 0 && !bpf_obj_get_info_by_fd(p->program[i], &info, &len))
			sum += info.recursion_misses;
	}
	return sum;
}

int ft_probe_pair_read(const struct ft_probe_pair *p, uint32_t nhops,
		       struct ft_pair_stats stats[FT_MAX_HOPS], struct ft_pair_totals *ret)
{
	_free_ struct ft_pair_stats *cpu = calloc(p->ncpus, sizeof(*cpu));
	_free_ struct ft_pair_totals *totals = calloc(p->ncpus, sizeof(*totals));
	uint32_t zero = 0;

	if (!cpu || !totals)
		return -ENOMEM;
	for (uint32_t hop = 0; hop < nhops && hop < FT_MAX_HOPS; hop++) {
		if (bpf_map_lookup_elem(p->map[FT_PAIR_MAP_STATS], &hop, cpu))
			return -errno;
		add_stats(p, cpu, &stats[hop]);
	}
	if (bpf_map_lookup_elem(p->map[FT_PAIR_MAP_TOTALS], &zero, totals))
		return -errno;
	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < p->ncpus; i++)
		add_words(ret->loss, totals[i].loss, FT_NPAIR_LOSS);
	ret->loss[FT_PAIR_LOSS_MISSED_CLOSE] += p->missed_close;
	ret->loss[FT_PAIR_LOSS_SKIPPED] = skipped(p);
	return 0;
}

/* --- tables --- */

struct rows {
	char *key, *value;
	size_t n, size;
};

static void rows_close(struct rows *r)
{
	free(r->key);
	free(r->value);
}

static int rows_grow(struct rows *r, size_t size, size_t key_size, size_t value_size)
{
	char *key = realloc(r->key, size * key_size), *value;

	if (!key)
		return -ENOMEM;
	r->key = key;
	value = realloc(r->value, size * value_size);
	if (!value)
		return -ENOMEM;
	r->value = value;
	r->size = size;
	return 0;
}

/* The whole table, in batches. An entry that comes or goes meanwhile may or may not be in it. */
static int read_table(int fd, size_t key_size, size_t value_size, struct rows *r)
{
	uint64_t in = 0, out = 0;
	bool first = true;
	int err = rows_grow(r, 4096, key_size, value_size);

	while (!err) {
		uint32_t n = r->size - r->n;
		bool last = false;

		if (bpf_map_lookup_batch(fd, first ? NULL : &in, &out, r->key + r->n * key_size,
					 r->value + r->n * value_size, &n, NULL)) {
			if (errno == ENOSPC) { /* one bucket holds more than what is left */
				err = rows_grow(r, 2 * r->size, key_size, value_size);
				continue;
			}
			if (errno != ENOENT)
				return -errno;
			last = true;
		}
		r->n += n;
		if (last)
			return 0;
		first = false;
		in = out;
		if (r->size - r->n < 1024)
			err = rows_grow(r, 2 * r->size, key_size, value_size);
	}
	return err;
}

static int read_flows(const struct ft_probe_pair *p, struct ft_pair_walk *w)
{
	__attribute__((cleanup(rows_close))) struct rows r = {0};
	int err = read_table(p->map[FT_PAIR_MAP_FLOWS], sizeof(uint64_t),
			     sizeof(struct ft_pair_flow), &r);

	w->flow = err ? NULL : calloc(r.n + 1, sizeof(*w->flow));
	if (!w->flow)
		return err ? err : -ENOMEM;
	w->nflows = r.n;
	for (size_t i = 0; i < r.n; i++) {
		memcpy(&w->flow[i].key, r.key + i * sizeof(uint64_t), sizeof(uint64_t));
		memcpy(&w->flow[i].flow, r.value + i * sizeof(struct ft_pair_flow),
		       sizeof(struct ft_pair_flow));
	}
	return 0;
}

static int read_edges(const struct ft_probe_pair *p, struct ft_pair_walk *w)
{
	__attribute__((cleanup(rows_close))) struct rows r = {0};
	int err = read_table(p->map[FT_PAIR_MAP_EDGES], sizeof(struct ft_pair_edge_key),
			     sizeof(struct ft_pair_edge), &r);

	w->edge = err ? NULL : calloc(r.n + 1, sizeof(*w->edge));
	if (!w->edge)
		return err ? err : -ENOMEM;
	w->nedges = r.n;
	for (size_t i = 0; i < r.n; i++) {
		memcpy(&w->edge[i].key, r.key + i * sizeof(w->edge[i].key), sizeof(w->edge[i].key));
		memcpy(&w->edge[i].edge, r.value + i * sizeof(w->edge[i].edge),
		       sizeof(w->edge[i].edge));
	}
	return 0;
}

int ft_probe_pair_rows(const struct ft_probe_pair *p, struct ft_pair_walk *ret)
{
	struct ft_pair_walk w = {0};
	int err = read_flows(p, &w);

	if (!err)
		err = read_edges(p, &w);
	if (err)
		ft_pair_walk_close(&w);
	else
		*ret = w;
	return err;
}

/* --- removal --- */

static void drop_edges(const struct ft_probe_pair *p, const struct ft_pair_walk *w,
		       const uint32_t *dead, size_t ndead,
		       uint64_t ended[FT_MAX_HOPS][FT_NPAIR_PATTERNS])
{
	for (size_t i = 0; i < ndead; i++) {
		const struct ft_pair_edge_row *e = &w->edge[dead[i]];

		/* Whoever deletes it counts it: the kernel may be doing so right now. */
		if (!bpf_map_delete_elem(p->map[FT_PAIR_MAP_EDGES], &e->key))
			ended[e->edge.hop][ft_pair_pattern(&e->edge)]++;
	}
}

static bool is_open(const struct ft_probe_pair *p, const struct ft_pair_flow_row *row)
{
	struct ft_flow f;

	return !bpf_map_lookup_elem(p->flows, &row->key, &f) && f.state != FT_CLOSE &&
	       f.hop == row->flow.hop;
}

static bool was_suspect(const struct ft_probe_pair *p, uint64_t id)
{
	size_t low = 0, high = p->nsuspect;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->suspect[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->nsuspect && p->suspect[low] == id;
}

/* Twice in a row: a close removes the two entries one after the other. */
static int drop_flows(struct ft_probe_pair *p, const struct ft_pair_walk *w)
{
	uint64_t *suspect = malloc((w->nflows + 1) * sizeof(*suspect));
	size_t n = 0;

	if (!suspect)
		return -ENOMEM;
	for (size_t i = 0; i < w->nflows; i++) {
		const struct ft_pair_flow_row *row = &w->flow[i];

		if (is_open(p, row))
			continue;
		if (!was_suspect(p, row->flow.id))
			suspect[n++] = row->flow.id; /* in order: the rows are sorted */
		else if (!bpf_map_delete_elem(p->map[FT_PAIR_MAP_FLOWS], &row->key))
			p->missed_close++;
	}
	free(p->suspect);
	p->suspect = suspect;
	p->nsuspect = n;
	return 0;
}

static int drop_threads(const struct ft_probe_pair *p, uint64_t now)
{
	__attribute__((cleanup(rows_close))) struct rows r = {0};
	int err = read_table(p->map[FT_PAIR_MAP_THREADS], sizeof(uint64_t),
			     sizeof(struct ft_pair_thread), &r);

	for (size_t i = 0; !err && i < r.n; i++) {
		struct ft_pair_thread t;

		memcpy(&t, r.value + i * sizeof(t), sizeof(t));
		if (t.used_ns + THREAD_NS < now)
			bpf_map_delete_elem(p->map[FT_PAIR_MAP_THREADS], r.key + i * 8);
	}
	return err;
}

int ft_probe_pair_walk(struct ft_probe_pair *p, bool keep,
		       uint64_t ended[FT_MAX_HOPS][FT_NPAIR_PATTERNS], struct ft_pair_walk *ret)
{
	uint64_t walk_ns = ft_clock_ns(CLOCK_MONOTONIC);
	struct ft_pair_walk w = {0};
	_free_ uint32_t *dead = NULL;
	size_t ndead = 0;
	int err = ft_probe_pair_rows(p, &w);

	w.walk_ns = walk_ns;
	if (!err) {
		dead = calloc(w.nedges + 1, sizeof(*dead));
		err = dead ? 0 : -ENOMEM;
	}
	if (!err) {
		ft_pair_fold(w.flow, w.nflows, w.edge, w.nedges, &p->plan, w.walk_ns, &w.open, dead,
			     &ndead);
		if (!keep)
			drop_edges(p, &w, dead, ndead, ended);
		err = drop_flows(p, &w);
	}
	if (!err)
		err = drop_threads(p, w.walk_ns);
	if (err)
		ft_pair_walk_close(&w);
	else
		*ret = w;
	return err;
}

void ft_pair_walk_close(struct ft_pair_walk *w)
{
	free(w->flow);
	free(w->edge);
	w->flow = NULL;
	w->edge = NULL;
	w->nflows = w->nedges = 0;
}

int ft_probe_pair_closed(struct ft_probe_pair *p, struct ft_pair_closed_row **rows, size_t *nrows)
{
	__attribute__((cleanup(rows_close))) struct rows r = {0};
	struct ft_pair_closed_row *more;
	int err = read_table(p->map[FT_PAIR_MAP_CLOSED], sizeof(uint64_t),
			     sizeof(struct ft_pair_closed), &r);

	if (err || !r.n)
		return err;
	more = realloc(*rows, (*nrows + r.n) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	*rows = more;
	for (size_t i = 0; i < r.n; i++) {
		struct ft_pair_closed_row *row = &more[*nrows];

		memcpy(&row->id, r.key + i * sizeof(row->id), sizeof(row->id));
		memcpy(&row->flow, r.value + i * sizeof(row->flow), sizeof(row->flow));
		if (!bpf_map_delete_elem(p->map[FT_PAIR_MAP_CLOSED], &row->id))
			(*nrows)++;
	}
	return 0;
}
