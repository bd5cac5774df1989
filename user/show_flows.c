// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The list of flows. The table knows hop, side and time, the walk knows what is in the queues
 * and which inode, /proc knows the process: three sorted arrays, joined by key and inode. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "exit.h"
#include "log.h"
#include "netns.h"
#include "owner.h"
#include "pair.h"
#include "show_flows.h"
#include "show_pairs.h"
#include "view.h"

struct entry {
	uint64_t key;
	struct ft_flow flow;
	const struct ft_sock_row *row; /* NULL: not met by the walk */
};

struct list {
	struct entry *entry;
	size_t n, size;
	const struct ft_report *r;
	int place;
};

static int collect(void *ctx, uint64_t key, const struct ft_flow *f)
{
	struct list *l = ctx;

	if (l->place >= 0 ? f->hop != l->place : !ft_report_hop_at(l->r, f->hop))
		return 0;
	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 1024;
		struct entry *entry = realloc(l->entry, size * sizeof(*entry));

		if (!entry)
			return -ENOMEM;
		l->entry = entry;
		l->size = size;
	}
	l->entry[l->n++] = (struct entry){key, *f, NULL};
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct ft_sock_row *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static void join(struct list *l, struct ft_sock_row *row, size_t n)
{
	if (n)
		qsort(row, n, sizeof(*row), by_key);
	for (size_t i = 0; n && i < l->n; i++) {
		struct ft_sock_row want = {.key = l->entry[i].key};

		l->entry[i].row = bsearch(&want, row, n, sizeof(*row), by_key);
	}
}

/* --- orders: largest first where that is what one looks for --- */

static int down(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static uint64_t idle(const struct entry *e)
{
	return e->row ? e->row->idle_ns : 0;
}

static uint64_t unread(const struct entry *e)
{
	return e->row ? e->row->unread_bytes : 0;
}

static int by_age(const void *a, const void *b)
{
	return -down(((const struct entry *)a)->flow.opened_ns,
		     ((const struct entry *)b)->flow.opened_ns);
}

static int by_idle(const void *a, const void *b)
{
	return down(idle(a), idle(b));
}

static int by_unread(const void *a, const void *b)
{
	return down(unread(a), unread(b));
}

static int by_hop(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->flow.hop != y->flow.hop ? x->flow.hop - y->flow.hop : by_age(a, b);
}

static int by_state(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->flow.state != y->flow.state ? x->flow.state - y->flow.state : by_age(a, b);
}

static int by_remote(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = memcmp(x->flow.raddr, y->flow.raddr, 16);

	return order ? order : x->flow.rport - y->flow.rport;
}

static void sort(struct list *l, const char *key)
{
	static const struct {
		const char *key;
		int (*order)(const void *, const void *);
	} orders[] = {
		{"age", by_age}, {"idle", by_idle},   {"unread", by_unread},
		{"hop", by_hop}, {"state", by_state}, {"remote", by_remote},
	};

	for (unsigned int i = 0; l->n && i < sizeof(orders) / sizeof(orders[0]); i++)
		if (!strcmp(orders[i].key, key ? key : "hop"))
			qsort(l->entry, l->n, sizeof(*l->entry), orders[i].order);
}

/* --- output --- */

static void comm_of(uint32_t pid, char ret[FT_COMM_LEN])
{
	char path[32];
	FILE *f;

	ret[0] = 0;
	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	f = pid ? fopen(path, "re") : NULL;
	if (f) {
		if (fgets(ret, FT_COMM_LEN, f))
			ret[strcspn(ret, "\n")] = 0;
		fclose(f);
	}
}

/* The rows of a flow stand together; the first by bisection. */
static size_t first_name(const struct ft_pair_names *names, uint64_t key)
{
	size_t low = 0, high = names->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (names->row[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

#define MAX_PAIRS 64 /* of one flow; a pool's connection may have had thousands */

static size_t pairs_of(const struct ft_pair_names *names, uint64_t key, uint64_t ret[MAX_PAIRS][2])
{
	size_t n = 0;

	for (size_t i = first_name(names, key); i < names->n && n < MAX_PAIRS; i++) {
		if (names->row[i].key != key)
			break;
		ret[n][0] = names->row[i].a;
		ret[n++][1] = names->row[i].b;
	}
	return n;
}

static int print_entry(const struct entry *e, const struct ft_owners *owners,
		       const struct ft_report *r, const struct ft_pair_names *names, bool json,
		       struct ft_buf *out)
{
	uint64_t pair[MAX_PAIRS][2];
	const struct ft_pair_flow *paired;
	const struct ft_owner *owner = e->row ? ft_owners_find(owners, e->row->inode) : NULL;
	const struct ft_report_hop *hop = ft_report_hop_at(r, e->flow.hop);
	char comm[FT_COMM_LEN];
	struct ft_view_flow v = {
		.flow = &e->flow,
		.row = e->row,
		.hop = hop ? hop->name : "?",
		.pid = owner ? owner->pid : e->flow.pid,
		.mono_ns = ft_clock_ns(CLOCK_MONOTONIC),
		.real_ns = ft_clock_ns(CLOCK_REALTIME),
	};

	if (hop && hop->pairs.role != FT_PAIR_NONE) {
		v.pair = (const uint64_t(*)[2])pair;
		v.npairs = pairs_of(names, e->key, pair);
		paired = ft_pair_names_flow(names, e->key, &e->flow);
		v.exchanges = paired ? &paired->exchanges : NULL;
	}
	if (!owner)
		comm_of(v.pid, comm);
	v.process = owner ? owner->comm : comm;
	if (json)
		return ft_view_flow_json(&v, out);
	ft_view_flow_text(&v, out);
	return ft_buf_error(out);
}

static void print_header(const struct ft_report *r, bool json, struct ft_buf *out)
{
	if (json)
		ft_view_list_begin(r, "flows", out);
	else
		ft_view_flow_header(out);
}

static int print(const struct ft_options *o, const struct list *l, const struct ft_owners *owners,
		 const struct ft_pair_names *names, const struct ft_report *r)
{
	size_t n = o->limit && o->limit < l->n ? o->limit : l->n;
	struct ft_buf out = {0};
	int err = 0;

	print_header(r, o->json, &out);
	for (size_t i = 0; !err && i < n; i++) {
		if (o->json && i)
			ft_buf_add(&out, ",\n", 2);
		err = print_entry(&l->entry[i], owners, r, names, o->json, &out);
		if (out.len > 1 << 16) { /* a hundred thousand rows need no memory of their own */
			fwrite(out.data, 1, out.len, stdout);
			ft_buf_reset(&out);
		}
	}
	if (o->json)
		ft_buf_add(&out, "]}\n", 3);
	fwrite(ft_buf_text(&out), 1, out.len, stdout);
	ft_buf_close(&out);
	return err;
}

int ft_show_flows(const struct ft_options *o, const struct ft_probe *p, const struct ft_report *r,
		  int place)
{
	struct list l = {.r = r, .place = place};
	_free_ struct ft_sock_row *row = NULL;
	struct ft_pair_names names = {0};
	struct ft_owners owners = {0};
	struct ft_netns ns = {0};
	size_t nrows = 0;
	int err = ft_probe_flows(p, collect, &l), walked = -1;

	if (!err)
		err = ft_netns_all(&ns);
	if (!err)
		walked = ft_probe_dump(p, ns.fd, ns.n, &row, &nrows);
	if (!walked)
		join(&l, row, nrows);
	if (!err)
		err = ft_owners_scan(&owners);
	sort(&l, o->sort);
	if (!err)
		err = ft_pair_names(o->pins ? o->pins : FT_DEFAULT_PINS, r, &names);
	if (!err)
		err = print(o, &l, &owners, &names, r);
	ft_pair_names_close(&names);
	ft_owners_close(&owners);
	ft_netns_close(&ns);
	free(l.entry);
	if (err)
		ft_log(FT_LOG_ERROR, "cannot list the flows: %s", strerror(-err));
	return err ? FT_EXIT_INTERNAL : FT_EXIT_OK;
}
