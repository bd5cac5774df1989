// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The list of pairs. An edge names its flows by id, the pairing table knows the id's socket, the
 * flow table the socket's tuple. Only edges whose rule is believed are pairs, and only of hops
 * where pairing is confident at all. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "exit.h"
#include "log.h"
#include "pair.h"
#include "probe_pair_pins.h"
#include "show_pairs.h"
#include "view.h"

static int by_id(const void *a, const void *b)
{
	const struct ft_pair_flow_row *x = a, *y = b;

	return x->flow.id < y->flow.id ? -1 : x->flow.id > y->flow.id;
}

static int by_age(const void *a, const void *b)
{
	const struct ft_pair_edge_row *x = a, *y = b;

	return x->edge.first_ns < y->edge.first_ns ? -1 : x->edge.first_ns > y->edge.first_ns;
}

/* The open flow with this id; false: it has ended. */
static bool flow_of(const struct ft_probe *p, const struct ft_pair_walk *w, uint64_t id,
		    struct ft_pair_flow *ret_paired, struct ft_flow *ret)
{
	const struct ft_pair_flow_row *row = ft_pair_flow_named(w->flow, w->nflows, id);

	if (!row || ft_probe_flow(p, row->key, ret))
		return false;
	*ret_paired = row->flow;
	return ret->state != FT_CLOSE && ret->hop == row->flow.hop;
}

/* Writes that the two flows have not yet added to their newest edge. */
static uint64_t writes(const struct ft_pair_edge_row *e, const struct ft_pair_flow *a,
		       const struct ft_pair_flow *b)
{
	uint64_t n = e->edge.writes;

	if (a->partner.id == e->key.b)
		n += a->writes;
	if (b->partner.id == e->key.a)
		n += b->writes;
	return n;
}

/* Likewise: while one pair keeps talking, only its flows know when it last did. */
static uint64_t last_ns(const struct ft_pair_edge_row *e, const struct ft_pair_flow *a,
			const struct ft_pair_flow *b)
{
	uint64_t last = e->edge.last_ns;

	if (a->partner.id == e->key.b && a->last_ns > last)
		last = a->last_ns;
	if (b->partner.id == e->key.a && b->last_ns > last)
		last = b->last_ns;
	return last;
}

static bool told(const struct ft_report *r, const struct ft_pair_edge *e, int only)
{
	const struct ft_report_hop *h = ft_report_hop_at(r, e->hop);
	const struct ft_hop_pairs *p = h ? &h->pairs : NULL;

	return p && p->role == FT_PAIR_B && p->class >= FT_PAIR_INTERVAL &&
	       p->class != FT_PAIR_SIGNATURE && ft_pair_holds(ft_pair_pattern(e), p->rule) &&
	       (only < 0 || (int)h->place == only ||
		(h->from >= 0 && (int)r->hop[h->from].place == only));
}

static int print(const struct ft_options *o, const struct ft_probe *p, const struct ft_report *r,
		 const struct ft_pair_walk *w, int place, struct ft_buf *out)
{
	uint64_t mono = ft_clock_ns(CLOCK_MONOTONIC), real = ft_clock_ns(CLOCK_REALTIME), n = 0;
	int err = 0;

	if (o->json)
		ft_view_list_begin(r, "pairs", out);
	else
		ft_view_pair_header(out);
	for (size_t i = 0; !err && i < w->nedges && (!o->limit || n < o->limit); i++) {
		const struct ft_pair_edge_row *e = &w->edge[i];
		struct ft_pair_flow pa, pb;
		struct ft_flow a, b;
		const struct ft_report_hop *ha, *hb;
		struct ft_view_pair v = {.a = &a, .b = &b, .mono_ns = mono, .real_ns = real};

		if (!told(r, &e->edge, place) || !flow_of(p, w, e->key.a, &pa, &a) ||
		    !flow_of(p, w, e->key.b, &pb, &b))
			continue;
		ha = ft_report_hop_at(r, a.hop);
		hb = ft_report_hop_at(r, b.hop);
		if (!ha || !hb)
			continue;
		v.a_hop = ha->name;
		v.b_hop = hb->name;
		v.a_id = e->key.a;
		v.b_id = e->key.b;
		v.writes = writes(e, &pa, &pb);
		v.first_ns = e->edge.first_ns;
		v.last_ns = last_ns(e, &pa, &pb);
		if (o->json && n++)
			ft_buf_add(out, ",\n", 2);
		if (o->json)
			err = ft_view_pair_json(&v, out);
		else
			ft_view_pair_text(&v, out);
		n += !o->json;
	}
	if (o->json)
		ft_buf_printf(out, "]}\n");
	return err ? err : ft_buf_error(out);
}

static int read_walk(const char *pins, struct ft_pair_walk *ret)
{
	int err = ft_probe_pair_list(pins, ret);

	if (!err && ret->nflows)
		qsort(ret->flow, ret->nflows, sizeof(*ret->flow), by_id);
	if (!err && ret->nedges)
		qsort(ret->edge, ret->nedges, sizeof(*ret->edge), by_age);
	return err;
}

static int by_key(const void *a, const void *b)
{
	const struct ft_pair_name *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->b < y->b ? -1 : x->b > y->b;
}

static int flow_by_key(const void *a, const void *b)
{
	const struct ft_pair_flow_row *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* The walk's flows go to the list, which asks by key. */
static void take_flows(struct ft_pair_walk *w, struct ft_pair_names *ret)
{
	ret->flow = w->flow;
	ret->nflows = w->nflows;
	w->flow = NULL;
	w->nflows = 0;
	if (ret->nflows)
		qsort(ret->flow, ret->nflows, sizeof(*ret->flow), flow_by_key);
}

int ft_pair_names(const char *pins, const struct ft_report *r, struct ft_pair_names *ret)
{
	struct ft_pair_walk w = {0};
	int err = read_walk(pins, &w);

	*ret = (struct ft_pair_names){0};
	if (err)
		return err == -ENOENT ? 0 : err;
	ret->row = calloc(2 * w.nedges + 1, sizeof(*ret->row));
	for (size_t i = 0; ret->row && i < w.nedges; i++) {
		const struct ft_pair_edge_key *k = &w.edge[i].key;
		const struct ft_pair_flow_row *row[2] = {
			ft_pair_flow_named(w.flow, w.nflows, k->a),
			ft_pair_flow_named(w.flow, w.nflows, k->b)};

		if (!told(r, &w.edge[i].edge, -1) || !row[0] || !row[1])
			continue;
		for (int end = 0; end < 2; end++)
			ret->row[ret->n++] = (struct ft_pair_name){row[end]->key, k->a, k->b};
	}
	if (ret->row && ret->n)
		qsort(ret->row, ret->n, sizeof(*ret->row), by_key);
	err = ret->row ? 0 : -ENOMEM;
	take_flows(&w, ret);
	ft_pair_walk_close(&w);
	return err;
}

/* An entry of another hop or peer is of an earlier socket at this address. */
const struct ft_pair_flow *ft_pair_names_flow(const struct ft_pair_names *names, uint64_t key,
					      const struct ft_flow *flow)
{
	struct ft_pair_flow_row want = {.key = key}, *row;

	if (!names->nflows)
		return NULL;
	row = bsearch(&want, names->flow, names->nflows, sizeof(want), flow_by_key);
	if (!row || row->flow.hop != flow->hop)
		return NULL;
	if (row->flow.role == FT_PAIR_A && row->flow.port != flow->rport)
		return NULL;
	return &row->flow;
}

void ft_pair_names_close(struct ft_pair_names *names)
{
	free(names->row);
	free(names->flow);
	*names = (struct ft_pair_names){0};
}

int ft_show_pairs(const struct ft_options *o, const struct ft_probe *p, const struct ft_report *r,
		  int place)
{
	struct ft_pair_walk w = {0};
	struct ft_buf out = {0};
	int err = read_walk(o->pins ? o->pins : FT_DEFAULT_PINS, &w);

	if (err == -ENOENT) {
		ft_log(FT_LOG_ERROR, "the agent does not pair: no hop that connects works for one "
				     "that accepts, or pairs = false, or the kernel cannot");
		return FT_EXIT_UNAVAILABLE;
	}
	if (!err)
		err = print(o, p, r, &w, place, &out);
	if (!err)
		fwrite(ft_buf_text(&out), 1, out.len, stdout);
	else
		ft_log(FT_LOG_ERROR, "cannot list the pairs: %s", strerror(-err));
	ft_pair_walk_close(&w);
	ft_buf_close(&out);
	return err ? FT_EXIT_INTERNAL : FT_EXIT_OK;
}
