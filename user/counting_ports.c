// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Ports that had a listener. An accepted flow outlives its listener, and what is left of it in
 * TIME_WAIT outlives the flow, so the kernel's table keeps each port; and a host whose programs
 * listen on any free port would use all of them up in time, and take its own connects from such a
 * port for accepted flows. So a port is forgotten when twice in a row, minutes apart, nobody
 * listened on it and no flow was accepted there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "counting_ports.h"
#include "scanned.h"

struct list {
	void *row;
	size_t n, size;
};

static int append(struct list *l, const void *row, size_t row_size)
{
	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 256;
		void *more = realloc(l->row, size * row_size);

		if (!more)
			return -ENOMEM;
		l->row = more;
		l->size = size;
	}
	memcpy((char *)l->row + l->n++ * row_size, row, row_size);
	return 0;
}

/* Whatever its address: rather too few are forgotten. */
static uint64_t port_id(uint32_t netns, uint16_t port)
{
	return (uint64_t)netns << 16 | port;
}

static int by_id(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ft_port_key));
}

static int note_port(void *ctx, const struct ft_port_key *key)
{
	return append(ctx, key, sizeof(*key));
}

static int note_listener(void *ctx, uint64_t key, const struct ft_listener *l)
{
	uint64_t id = port_id(l->netns, l->port);

	(void)key;
	return append(ctx, &id, sizeof(id));
}

static int note_flow(void *ctx, uint64_t key, const struct ft_flow *f)
{
	uint64_t id = port_id(f->netns, f->lport);

	(void)key;
	return f->flags & FT_FLOW_CONNECT ? 0 : append(ctx, &id, sizeof(id));
}

/* Those of the ports, read before, that are not in use; in order. */
static void keep_idle(struct list *ports, struct list *used)
{
	struct ft_port_key *key = ports->row;
	size_t n = 0;

	if (used->n)
		qsort(used->row, used->n, sizeof(uint64_t), by_id);
	for (size_t i = 0; i < ports->n; i++) {
		uint64_t id = port_id(key[i].netns, key[i].port);

		if (!used->n || !bsearch(&id, used->row, used->n, sizeof(id), by_id))
			key[n++] = key[i];
	}
	ports->n = n;
	if (n)
		qsort(key, n, sizeof(*key), by_key);
}

static int find_idle(const struct ft_counting *c, struct list *ports)
{
	struct list used = {0};
	int err = ft_probe_listening_ports(&c->probe, note_port, ports);

	if (!err)
		err = ft_probe_listeners(&c->probe, note_listener, &used);
	if (!err && used.n >= FT_MAX_LISTENERS) /* there may be more that are not known */
		err = -E2BIG;
	if (!err)
		err = ft_probe_flows(&c->probe, note_flow, &used);
	if (!err)
		keep_idle(ports, &used);
	free(used.row);
	return err;
}

/* Where flows have no entry, nothing tells that a port has none. */
void ft_counting_forget_ports(struct ft_counting *c)
{
	struct list idle = {0};
	size_t left = 0;

	if (ft_scanned_overflowed(&c->snapshot.totals) || find_idle(c, &idle))
		idle.n = 0;
	for (size_t i = 0; i < idle.n; i++) {
		struct ft_port_key *key = (struct ft_port_key *)idle.row + i;

		if (c->nidle_ports &&
		    bsearch(key, c->idle_ports, c->nidle_ports, sizeof(*key), by_key))
			ft_probe_forget_port(&c->probe, key);
		else
			((struct ft_port_key *)idle.row)[left++] = *key;
	}
	free(c->idle_ports);
	c->idle_ports = idle.row;
	c->nidle_ports = left;
}
