// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rows are collected first and printed after, sorted: the order of a hash means nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "scanned.h"
#include "log.h"
#include "show_limits.h"
#include "view.h"

struct listener_row {
	struct ft_listener l;
};
struct ports_row {
	struct ft_ports_key key;
	struct ft_ports_used used;
	uint32_t limit;
};
struct space_row {
	uint32_t netns;
	struct ft_space s;
};

struct lists {
	const struct ft_report *r;
	int place;
	uint32_t walk;
	struct listener_row *listener;
	struct ports_row *ports;
	struct space_row *space;
	size_t nlisteners, nports, nspaces;
};

static void close_lists(struct lists *l)
{
	free(l->listener);
	free(l->ports);
	free(l->space);
}

/* Room for one more in an array that doubles: whenever n is a power of two, it is full. */
static int grow(void **array, size_t n, size_t size)
{
	void *more;

	if (n & (n - 1))
		return 0;
	more = realloc(*array, (n ? 2 * n : 1) * size);
	if (!more)
		return -ENOMEM;
	*array = more;
	return 0;
}

static int add_listener(void *ctx, uint64_t key, const struct ft_listener *found)
{
	struct lists *l = ctx;
	int err;

	(void)key;
	if (l->place >= 0 && found->hop != l->place)
		return 0;
	err = grow((void **)&l->listener, l->nlisteners, sizeof(*l->listener));
	if (!err)
		l->listener[l->nlisteners++].l = *found;
	return err;
}

/* What the last scan met; an older row's sockets are gone. */
static int add_ports(void *ctx, const struct ft_ports_key *key, const struct ft_ports_used *used)
{
	struct lists *l = ctx;
	int err;

	if (used->walk != l->walk || (l->place >= 0 && key->hop != l->place))
		return 0;
	err = grow((void **)&l->ports, l->nports, sizeof(*l->ports));
	if (!err)
		l->ports[l->nports++] = (struct ports_row){*key, *used, 0};
	return err;
}

static int add_space(void *ctx, uint32_t netns, const struct ft_space *s)
{
	struct lists *l = ctx;
	int err;

	if (s->walk != l->walk)
		return 0;
	err = grow((void **)&l->space, l->nspaces, sizeof(*l->space));
	if (!err)
		l->space[l->nspaces++] = (struct space_row){netns, *s};
	return err;
}

static int by_port(const void *a, const void *b)
{
	const struct listener_row *x = a, *y = b;

	if (x->l.port != y->l.port)
		return x->l.port < y->l.port ? -1 : 1;
	if (x->l.netns != y->l.netns)
		return x->l.netns < y->l.netns ? -1 : 1;
	return memcmp(x->l.addr, y->l.addr, sizeof(x->l.addr));
}

static int by_use(const void *a, const void *b)
{
	const struct ports_row *x = a, *y = b;

	if (x->used.used != y->used.used)
		return x->used.used > y->used.used ? -1 : 1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

static int by_netns(const void *a, const void *b)
{
	const struct space_row *x = a, *y = b;

	return x->netns < y->netns ? -1 : x->netns > y->netns;
}

static void sort(struct lists *l)
{
	if (l->nlisteners)
		qsort(l->listener, l->nlisteners, sizeof(*l->listener), by_port);
	if (l->nports)
		qsort(l->ports, l->nports, sizeof(*l->ports), by_use);
	if (l->nspaces)
		qsort(l->space, l->nspaces, sizeof(*l->space), by_netns);
	for (size_t i = 0; i < l->nports; i++)
		for (size_t s = 0; s < l->nspaces; s++)
			if (l->space[s].netns == l->ports[i].key.netns)
				l->ports[i].limit = l->space[s].s.ports;
}

/* --- output --- */

static const char *hop_name(const struct ft_report *r, int place)
{
	const struct ft_report_hop *h = ft_report_hop_at(r, place);

	return h ? h->name : NULL;
}

static int print_listener(const struct lists *l, size_t i, bool json, struct ft_buf *out)
{
	struct ft_listener *found = &l->listener[i].l;
	struct ft_view_listener v = {
		.listener = found,
		.hop = hop_name(l->r, found->hop),
		.process = found->comm,
		.pid = found->pid,
	};

	found->comm[FT_COMM_LEN - 1] = 0;
	if (json)
		return ft_view_listener_json(&v, out);
	ft_view_listener_text(&v, out);
	return ft_buf_error(out);
}

static int print_ports(const struct lists *l, size_t i, bool json, struct ft_buf *out)
{
	const struct ports_row *row = &l->ports[i];
	const char *hop = hop_name(l->r, row->key.hop);
	struct ft_view_ports v = {
		.key = &row->key,
		.used = &row->used,
		.hop = hop ? hop : "?",
		.limit = row->limit,
		.exhausted_ns = ft_scanned_exhausted_ns(&row->used, row->limit),
	};

	if (json)
		return ft_view_ports_json(&v, out);
	ft_view_ports_text(&v, out);
	return ft_buf_error(out);
}

static int print_space(const struct lists *l, size_t i, bool json, struct ft_buf *out)
{
	if (json)
		return ft_view_space_json(l->space[i].netns, &l->space[i].s, out);
	ft_view_space_text(l->space[i].netns, &l->space[i].s, out);
	return ft_buf_error(out);
}

typedef int (*print_fn)(const struct lists *l, size_t i, bool json, struct ft_buf *out);

static int print_rows(const struct lists *l, size_t n, print_fn print, bool json,
		      struct ft_buf *out)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		if (json && i)
			ft_buf_add(out, ",\n", 2);
		err = print(l, i, json, out);
	}
	return err;
}

static int print_listeners(const struct lists *l, const struct ft_options *o, struct ft_buf *out)
{
	size_t n = o->limit && o->limit < l->nlisteners ? o->limit : l->nlisteners;
	int err;

	if (o->json)
		ft_view_list_begin(l->r, "listeners", out);
	else
		ft_view_listener_header(out);
	err = print_rows(l, n, print_listener, o->json, out);
	if (o->json)
		ft_buf_printf(out, "],\n\"namespaces\":[");
	if (!err)
		err = print_rows(l, l->nspaces, print_space, o->json, out);
	if (o->json)
		ft_buf_printf(out, "]}\n");
	return err;
}

static int print_destinations(const struct lists *l, const struct ft_options *o, struct ft_buf *out)
{
	size_t n = o->limit && o->limit < l->nports ? o->limit : l->nports;
	int err;

	if (o->json)
		ft_view_list_begin(l->r, "ports", out);
	else
		ft_view_ports_header(out);
	err = print_rows(l, n, print_ports, o->json, out);
	if (o->json)
		ft_buf_printf(out, "]}\n");
	return err;
}

static int read_lists(struct lists *l, const struct ft_probe *p)
{
	struct ft_scan scan;
	int err = ft_probe_get_scan(p, &scan);

	l->walk = scan.number;
	if (!err)
		err = ft_probe_listeners(p, add_listener, l);
	if (!err)
		err = ft_probe_ports(p, add_ports, l);
	if (!err)
		err = ft_probe_spaces(p, add_space, l);
	if (!err)
		sort(l);
	return err;
}

static int show(const struct ft_options *o, const struct ft_probe *p, const struct ft_report *r,
		int place,
		int (*print)(const struct lists *l, const struct ft_options *o, struct ft_buf *out))
{
	struct lists l = {.r = r, .place = place};
	struct ft_buf out = {0};
	int err = read_lists(&l, p);

	if (!err)
		err = print(&l, o, &out);
	if (!err)
		err = ft_buf_error(&out);
	if (!err)
		fwrite(ft_buf_text(&out), 1, out.len, stdout);
	else
		ft_log(FT_LOG_ERROR, "cannot list: %s", strerror(-err));
	if (!err && !r->scanned)
		ft_log(FT_LOG_WARN, "no scan has ended yet (source sockops has none): what only a "
				    "scan can see is missing");
	ft_buf_close(&out);
	close_lists(&l);
	return err ? FT_EXIT_INTERNAL : FT_EXIT_OK;
}

int ft_show_listeners(const struct ft_options *o, const struct ft_probe *p,
		      const struct ft_report *r, int place)
{
	return show(o, p, r, place, print_listeners);
}

int ft_show_ports(const struct ft_options *o, const struct ft_probe *p, const struct ft_report *r,
		  int place)
{
	return show(o, p, r, place, print_destinations);
}
