// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* See fake_rows.h. Three discovered hops of one process, nine flows, four pairs. */
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "fake_rows.h"
#include "fantail.h"
#include "fantail_pair.h"

#define SECOND	 1000000000ULL
#define HOPS	 3
#define FLOWS	 9
#define START_NS (1000 * SECOND)

#define ARRAY(NAME, VALUE, N)                                                                      \
	{                                                                                          \
		.name = NAME, .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,                           \
		.value_size = sizeof(VALUE), .max_entries = (N), .rows = (N)                       \
	}
#define PERCPU(NAME, VALUE, N)                                                                     \
	{                                                                                          \
		.name = NAME, .type = BPF_MAP_TYPE_PERCPU_ARRAY, .key_size = 4,                    \
		.value_size = sizeof(VALUE), .max_entries = (N), .rows = (N)                       \
	}
#define HASH(NAME, KEY, VALUE, N, ROWS)                                                            \
	{                                                                                          \
		.name = NAME, .type = BPF_MAP_TYPE_HASH, .key_size = sizeof(KEY),                  \
		.value_size = sizeof(VALUE), .max_entries = (N), .rows = (ROWS)                    \
	}
#define ALWAYS(NAME, VALUE)                                                                        \
	{                                                                                          \
		.name = NAME, .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,                           \
		.value_size = sizeof(VALUE), .max_entries = 1, .rows = 1, .always = true           \
	}

const struct fake_shape fake_shapes[FAKE_NMAPS] = {
	[FAKE_META] = ALWAYS("meta", struct ft_meta),
	[FAKE_HOPS] = ARRAY("hops", struct ft_hop_def, FT_MAX_HOPS),
	[FAKE_CONTROL] = ALWAYS("control", struct ft_control),
	[FAKE_RULES] = ARRAY("rules", struct ft_rules[2], 1),
	[FAKE_FLOWS] = HASH("flows", __u64, struct ft_flow, 262144, FLOWS),
	[FAKE_STATS] = PERCPU("stats", struct ft_hop_stats, FT_MAX_HOPS *FT_NCONTEXTS),
	[FAKE_TOTALS] = PERCPU("totals", struct ft_totals, 1),
	[FAKE_LISTENERS] = HASH("listeners", __u64, struct ft_listener, 4096, 4),
	[FAKE_PORTS] = HASH("ports", struct ft_port_key, struct ft_port, 65536, 2),
	[FAKE_CANDIDATES] =
		HASH("candidates", struct ft_candidate_key, struct ft_candidate, 1024, 3),
	[FAKE_HISTORY] = ARRAY("history", struct ft_sample, FT_HISTORY),
	[FAKE_OWNERS] = HASH("owners", __u64, char[24], 65536, 0),
	[FAKE_WALKED] = HASH("walked", __u32, __u32, 4096, 1),
	[FAKE_SCANS] = ARRAY("scans", struct ft_hop_scan, 2 * FT_SCAN_ROWS),
	[FAKE_SCAN] = ARRAY("scan", struct ft_scan, 1),
	[FAKE_LIMITS] = ARRAY("limits", struct ft_hop_limits, FT_MAX_HOPS),
	[FAKE_SPACES] = HASH("spaces", __u32, struct ft_space, 4096, 2),
	[FAKE_PORTS_USED] = HASH("ports_used", struct ft_ports_key, struct ft_ports_used, 65536, 3),
	[FAKE_PAIRINGS] = ARRAY("pairings", struct ft_hop_pairs, FT_MAX_HOPS),
	[FAKE_PAIR_LOSS] = ARRAY("pair_loss", struct ft_pair_totals, 1),
	[FAKE_PAIR_FLOWS] = HASH("pair_flows", __u64, struct ft_pair_flow, 262144, FLOWS),
	[FAKE_PAIR_EDGES] =
		HASH("pair_edges", struct ft_pair_edge_key, struct ft_pair_edge, 131072, 4),
	[FAKE_PAIR_THREADS] = HASH("own_threads", __u64, struct ft_pair_thread, 32, 2),
	[FAKE_PAIR_CLOSED] = HASH("own_closed", __u64, struct ft_pair_closed, 4096, 6),
	[FAKE_PAIR_STATS] = PERCPU("own_stats", struct ft_pair_stats, FT_MAX_HOPS),
	[FAKE_PAIR_TOTALS] = PERCPU("own_totals", struct ft_pair_totals, 1),
	[FAKE_PAIR_CONTROL] = ARRAY("own_control", struct ft_pair_control, 1),
	[FAKE_DUMP] = HASH("dump", __u64, struct ft_sock_row, 256, FLOWS + 2),
	[FAKE_HOLDERS] = HASH("holders", __u64, struct ft_owner, 256, 8),
};

static void address(__u8 ret[16], unsigned int last)
{
	static const __u8 loopback[16] = {[10] = 0xff, 0xff, 127, 0, 0, 0};

	memcpy(ret, loopback, 16);
	ret[15] = (__u8)last;
}

static void meta(struct ft_meta *m)
{
	*m = (struct ft_meta){
		.abi = FT_ABI,
		.start_ns = START_NS,
		.max_flows = 262144,
		.nhops = HOPS,
		.pid = 4242,
		.interval_ms = 1000,
	};
	strcpy(m->version, FT_VERSION);
}

static void hop(uint32_t row, struct ft_hop_def *d)
{
	static const char *const port[HOPS] = {"80", "127.0.0.0/8:8080,[::1]:8080", "3000"};

	if (row >= HOPS)
		return;
	snprintf(d->name, sizeof(d->name), "hop:%u", row);
	strcpy(d->port, port[row]);
	strcpy(d->process, "queue");
	d->from = (__s16)(row ? 0 : -1);
	d->side = row ? FT_CONNECT : FT_ACCEPT;
	d->discovered = 1;
	d->limit = row == 1 ? 15 : 0;
	d->keepalive_ms = 75000;
}

static void rules(struct ft_rules *r)
{
	static const uint8_t loopback[16] = {[10] = 0xff, 0xff, 127};
	static const uint16_t port[HOPS] = {80, 8080, 3000};

	r->count = HOPS;
	for (int i = 0; i < HOPS; i++) {
		r->rule[i].port_lo = r->rule[i].port_hi = port[i];
		r->rule[i].side = i ? FT_CONNECT : FT_ACCEPT;
		r->rule[i].hop = i;
	}
	memcpy(r->rule[1].peer, loopback, sizeof(loopback));
	memset(r->rule[1].peer_mask, 0xff, 13);
}

static void flow(uint32_t row, struct ft_flow *f)
{
	f->hop = row % HOPS;
	f->state = row == FLOWS - 1 ? FT_CLOSE : FT_ESTABLISHED;
	f->flags = FT_FLOW_OPEN | (f->hop ? FT_FLOW_CONNECT : 0);
	f->opened_ns = START_NS + row * SECOND;
	f->path = 0x21;
	f->pid = 4242;
	f->netns = 4026531840U;
	address(f->laddr, 1);
	address(f->raddr, 2 + row);
	f->lport = f->hop ? 40000 + row : 80;
	f->rport = f->hop == 0 ? 50000 + row : f->hop == 1 ? 8080 : 3000;
}

static void stats(uint32_t row, struct ft_hop_stats *s)
{
	if (row >= HOPS * FT_NCONTEXTS)
		return;
	s->opened = 100 + row;
	s->closed[FT_CLOSED_LOCAL] = 90;
	s->transition[FT_SYN_SENT][FT_ESTABLISHED] = 100 + row;
	s->transition[FT_ESTABLISHED][FT_FIN_WAIT1] = 90;
	s->lifetime[3] = 90;
	s->lifetime_sum_ns = 90 * SECOND;
	s->one_shot = 10;
}

static void listener(uint32_t row, struct ft_listener *l)
{
	address(l->addr, row);
	strcpy(l->comm, row & 1 ? "queue" : "");
	l->port = row & 1 ? 80 : 8080;
	l->hop = (__s16)(row & 1 ? 0 : -1);
	l->backlog = row;
	l->backlog_limit = 511;
	l->netns = 4026531840U;
	l->pid = 4242;
}

static void candidate(uint32_t row, struct ft_candidate_key *k, struct ft_candidate *c)
{
	*k = (struct ft_candidate_key){.port = 3306 + row, .realm = FT_REALM_LOOPBACK, .family = 4};
	strcpy(k->comm, "node");
	address(c->raddr, 9);
	c->count = 7;
}

static void sample(uint32_t row, struct ft_sample *s)
{
	if (row >= 90)
		return;
	s->mono_ns = START_NS + (row + 1) * SECOND;
	for (int i = 0; i < HOPS; i++) {
		s->hop[i].opened = row + i;
		s->hop[i].active_ns = row * SECOND;
		s->hop[i].exchanges = row / 2;
	}
}

static void scan(uint32_t row, struct ft_hop_scan *s)
{
	if (row % FT_SCAN_ROWS >= HOPS)
		return;
	s->flows = 3;
	s->held = row ? 0 : 2;
	s->held_oldest_ns = 40 * SECOND;
	s->idle[1] = 2;
	s->idle_oldest_ns = 42 * SECOND;
	s->listeners = 1;
	s->backlog_limit = 511;
}

static void ports_used(uint32_t row, struct ft_ports_key *k, struct ft_ports_used *u)
{
	memset(k, 0, sizeof(*k));
	address(k->laddr, 1);
	address(k->raddr, 2 + row);
	k->netns = 4026531840U;
	k->rport = 8080;
	k->hop = 1 + row % 2;
	*u = (struct ft_ports_used){.walk = 7, .used = 20 + row, .used_before = 10};
	u->mono_ns = START_NS + 90 * SECOND;
	u->mono_ns_before = START_NS + 85 * SECOND;
}

static void pairing(uint32_t row, struct ft_hop_pairs *p)
{
	if (row >= HOPS)
		return;
	p->role = row ? FT_PAIR_B : FT_PAIR_A;
	p->class = row + 1; /* NOT, INTERVAL, EXACT */
	p->exchanges = 50;
	p->used = 40;
	p->single = 4;
	p->wait[2] = 30;
	p->wait_sum_ns = SECOND;
	p->confidence = 970;
	p->coverage = 990;
	p->since_ns = START_NS + 20 * SECOND;
	p->closed = (struct ft_pair_mean){.flows = 36, .partners = 40, .most = 60};
	p->open = (struct ft_pair_mean){.flows = 4, .partners = 4, .most = 4};
	p->recent = (struct ft_pair_mean){.flows = 8, .partners = 10, .most = 12};
	p->closed_max = 3;
	p->open_max = 1;
	p->closed_fanout[1] = 32;
	p->open_fanout[1] = 4;
	p->reuse_flows = 30;
	p->reuse_partners = 60;
	p->reuse_max = 9;
}

static void pair_flow(uint32_t row, struct ft_pair_flow *f)
{
	f->id = (uint64_t)(row + 1) << 8 | row % HOPS;
	f->opened_ns = START_NS + row * SECOND;
	f->exchanges = 1 + row;
	f->tgid = 4242;
	f->hop = row % HOPS;
	f->role = f->hop ? FT_PAIR_B : FT_PAIR_A;
	for (int i = 0; i < FT_PAIR_FORKS; i++)
		f->count[i] = (struct ft_pair_count){{1, 1, 2, 1}, 2};
}

static void pair_edge(uint32_t row, struct ft_pair_edge_key *k, struct ft_pair_edge *e)
{
	uint32_t a = row < 4 ? row / 2 * HOPS : 0, b = row < 4 ? a + 1 + row % 2 : row + 1;

	k->a = (uint64_t)(a + 1) << 8;
	k->b = (uint64_t)(b + 1) << 8 | b % HOPS;
	e->first_ns = e->served_ns = START_NS + 10 * SECOND;
	e->last_ns = START_NS + 20 * SECOND;
	e->writes = 5;
	e->hop = b % HOPS;
	e->tgid = 4242;
	memset(e->seen, 1, sizeof(e->seen));
}

static void pair_stats(uint32_t row, struct ft_pair_stats *s)
{
	if (row >= HOPS)
		return;
	s->exchanges = 50;
	s->closed = 40;
	s->sends = 60;
	s->matched[FT_PAIR_LAST] = 59;
	s->back = 50;
	s->handed[0] = 50;
	s->ended[FT_PAIR_FW_LAST | FT_PAIR_REV_LAST] = 40;
	s->fanout.flows[FT_PAIR_LAST][1] = 40;
	s->fanout.sum[FT_PAIR_LAST] = 40;
	s->fanout.max[FT_PAIR_LAST] = 1;
}

static void closed(uint32_t row, struct ft_pair_closed *c)
{
	c->closed_ns = START_NS + 80 * SECOND + row / 2 * 1000;
	c->read_bytes = c->written_bytes = 100 + row / 2;
	c->tgid = 4242;
	c->hop = row & 1;
	c->role = row & 1 ? FT_PAIR_B : FT_PAIR_A;
}

static void dump(uint32_t row, struct ft_sock_row *r)
{
	struct ft_flow f = {0};

	flow(row, &f);
	r->key = row;
	memcpy(r->laddr, f.laddr, 16);
	memcpy(r->raddr, f.raddr, 16);
	r->lport = f.lport;
	r->rport = f.rport;
	r->netns = f.netns;
	r->inode = 1 + row;
	r->idle_ns = row * SECOND;
	r->state = row < FLOWS ? FT_ESTABLISHED : FT_LISTEN;
	r->accepted = row % HOPS == 0;
}

/* Names of their own choice. */
static void holder(uint32_t row, struct ft_owner *o)
{
	static const char *const comm[] = {"queue", "a\"b\\c\nd", "\x1b[31m\xff", "", "nan"};

	o->inode = 1 + row;
	o->pid = 4242 + row;
	strcpy(o->comm, comm[row % 5]);
}

void fake_row(int map, uint32_t row, void *key, void *value)
{
	switch (map) {
	case FAKE_META:
		return meta(value);
	case FAKE_HOPS:
		return hop(row, value);
	case FAKE_CONTROL:
		((struct ft_control *)value)->phase = FT_PHASE_COUNT;
		((struct ft_control *)value)->audit = 7;
		return;
	case FAKE_RULES:
		return rules(value);
	case FAKE_FLOWS:
		return flow(row, value);
	case FAKE_STATS:
		return stats(row, value);
	case FAKE_LISTENERS:
		return listener(row, value);
	case FAKE_CANDIDATES:
		return candidate(row, key, value);
	case FAKE_HISTORY:
		return sample(row, value);
	case FAKE_SCANS:
		return scan(row, value);
	case FAKE_SCAN:
		*(struct ft_scan *)value =
			(struct ft_scan){START_NS + 90 * SECOND, 2000000, 5 * SECOND, 100, 7, 0};
		return;
	case FAKE_SPACES:
		*(struct ft_space *)value = (struct ft_space){1, 2, 28232, 7};
		if (!row)
			*(uint32_t *)key = 4026531840U;
		return;
	case FAKE_PORTS_USED:
		return ports_used(row, key, value);
	case FAKE_PAIRINGS:
		return pairing(row, value);
	case FAKE_PAIR_FLOWS:
		return pair_flow(row, value);
	case FAKE_PAIR_EDGES:
		return pair_edge(row, key, value);
	case FAKE_PAIR_STATS:
		return pair_stats(row, value);
	case FAKE_PAIR_CLOSED:
		return closed(row, value);
	case FAKE_DUMP:
		return dump(row, value);
	case FAKE_HOLDERS:
		return holder(row, value);
	default:
		return;
	}
}
