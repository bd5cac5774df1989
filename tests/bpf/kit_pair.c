// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* See kit_pair.h. Edges are found by the ports of the relay's two ends, which a test does not
 * use twice. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "kit_pair.h"

static struct ft_probe_pair probe = FT_PROBE_PAIR_NONE;
static struct ft_pair_walk pairs;
static struct ft_pair_stats stats[FT_MAX_HOPS];
static struct ft_pair_totals totals;
static uint64_t ended[FT_MAX_HOPS][FT_NPAIR_PATTERNS]; /* removed by sweeps */
static struct ft_pair_closed_row *closed;
static size_t nclosed, nmatches;
static struct ft_pair_match *matches;
static struct ft_pair_signatures signatures[FT_MAX_HOPS];
static bool signing;
static struct ft_pair_control plan;

struct ft_probe_pair *kit_pairing_probe(void)
{
	return &probe;
}

static void empty(enum ft_pair_map map)
{
	uint64_t key[2];

	while (!bpf_map_get_next_key(probe.map[map], NULL, key))
		bpf_map_delete_elem(probe.map[map], key);
}

/* As after loading, but for the flows that counting knows. */
static void begin_again(void)
{
	void *zero = calloc(probe.ncpus, sizeof(struct ft_pair_stats));

	cr_assert(zero);
	empty(FT_PAIR_MAP_FLOWS);
	empty(FT_PAIR_MAP_EDGES);
	empty(FT_PAIR_MAP_THREADS);
	empty(FT_PAIR_MAP_CLOSED);
	for (uint32_t hop = 0; hop < FT_MAX_HOPS; hop++)
		bpf_map_update_elem(probe.map[FT_PAIR_MAP_STATS], &hop, zero, BPF_ANY);
	bpf_map_update_elem(probe.map[FT_PAIR_MAP_TOTALS], &(uint32_t){0}, zero, BPF_ANY);
	free(zero);
	free(probe.suspect);
	probe.suspect = NULL;
	probe.nsuspect = 0;
	probe.missed_close = 0;
	memset(ended, 0, sizeof(ended));
	signing = false;
	nclosed = nmatches = 0;
	cr_assert_eq(ft_probe_pair_set(&probe, &plan), 0);
}

static void make_plan(const char *hops, bool found)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules rules;
	static struct ft_config c;
	struct ft_buf errors = {0};
	char text[8192];

	cr_assert_lt(snprintf(text, sizeof(text), "hops = ( %s );\n", hops), (int)sizeof(text));
	cr_assert_eq(ft_config_parse(text, "hops", &c, &errors), 0);
	cr_assert_eq(ft_config_compile(&c, def, &rules), 0);
	for (unsigned int i = 0; found && i < c.nhops; i++) {
		def[i].discovered = 1;
		strcpy(def[i].process, "relay");
	}
	cr_assert_gt(ft_pair_plan(def, c.nhops, &rules, &plan, NULL), 0, "nothing to pair");
}

static void load(const struct ft_probe_pair_options *o)
{
	struct ft_probe_pair_options po = o ? *o : (struct ft_probe_pair_options){0};
	char why[256] = "";

	if (!po.max_flows)
		po.max_flows = 262144;
	cr_assert_eq(ft_probe_pair_load(&probe, kit_probe(FT_SOURCE_TRACEPOINT)->map[FT_MAP_FLOWS],
					&po, why, sizeof(why)),
		     0, "%s", why);
	begin_again();
}

void kit_pairing_attach(const char *hops, const struct ft_probe_pair_options *o)
{
	make_plan(hops, false);
	load(o);
}

void kit_pairing_found(const char *hops)
{
	kit_count(KIT_TRACEPOINT, hops);
	make_plan(hops, true);
	load(NULL);
}

void kit_pairing_replan(const char *hops)
{
	make_plan(hops, true);
	cr_assert_eq(ft_probe_pair_set(&probe, &plan), 0);
}

void kit_pairing(const char *hops, const struct ft_probe_pair_options *o)
{
	kit_count(KIT_TRACEPOINT, hops);
	kit_pairing_attach(hops, o);
}

void kit_pairing_run(const struct kit_case *c, size_t n)
{
	const struct rlimit files = {8192, 8192}; /* a case leaves its sockets open */

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (size_t i = 0; i < n; i++) {
		fprintf(stderr, "case: %s\n", c[i].name);
		begin_again();
		c[i].run();
	}
}

void kit_pairing_cases(const struct kit_case *c, size_t n)
{
	kit_pairing(KIT_RELAY, NULL);
	kit_pairing_run(c, n);
}

void kit_pairing_detach(void)
{
	ft_probe_pair_close(&probe);
}

void kit_pairing_end(void)
{
	kit_pairing_detach();
	ft_pair_walk_close(&pairs);
	kit_end();
}

/* --- connections --- */

int kit_listener(const char *addr, uint16_t port)
{
	static struct {
		char addr[48];
		uint16_t port;
		int fd;
	} listener[16];
	unsigned int i = 0;

	while (i < 16 && listener[i].port &&
	       (listener[i].port != port || strcmp(listener[i].addr, addr)))
		i++;
	cr_assert_lt(i, 16);
	if (!listener[i].port) {
		listener[i].fd = kit_listen(addr, port);
		listener[i].port = port;
		strcpy(listener[i].addr, addr);
	}
	return listener[i].fd;
}

struct kit_pair kit_front_at(const char *addr)
{
	return kit_pair(kit_listener(addr, 8001), addr, 8001);
}

struct kit_pair kit_back_at(const char *addr)
{
	return kit_pair(kit_listener(addr, 8002), addr, 8002);
}

struct kit_pair kit_front(void)
{
	return kit_front_at("127.0.0.1");
}

struct kit_pair kit_back(void)
{
	return kit_back_at("127.0.0.1");
}

void kit_take(int fd, size_t bytes)
{
	char sink[65536];

	cr_assert_leq(bytes, sizeof(sink));
	cr_assert_eq(recv(fd, sink, bytes, MSG_WAITALL), (ssize_t)bytes, "recv: %m");
}

void kit_in(struct kit_pair front, size_t bytes)
{
	kit_send(front.client, bytes);
	kit_take(front.server, bytes);
}

void kit_forth(struct kit_pair back, size_t bytes)
{
	kit_send(back.client, bytes);
	kit_take(back.server, bytes);
}

void kit_back_in(struct kit_pair back, size_t bytes)
{
	kit_send(back.server, bytes);
	kit_take(back.client, bytes);
}

void kit_answer(struct kit_pair front, size_t bytes)
{
	kit_send(front.server, bytes);
	kit_take(front.client, bytes);
}

void kit_exchange(struct kit_pair front, struct kit_pair back)
{
	kit_in(front, 100);
	kit_forth(back, 100);
	kit_back_in(back, 200);
	kit_answer(front, 200);
}

/* --- threads --- */

struct kit_hand {
	pthread_t thread;
	sem_t begin, end;
	int fd;
	size_t bytes;
	bool write;
};

static void *obey(void *arg)
{
	struct kit_hand *h = arg;

	for (;;) {
		while (sem_wait(&h->begin))
			;
		if (h->write)
			kit_send(h->fd, h->bytes);
		else
			kit_take(h->fd, h->bytes);
		sem_post(&h->end);
	}
	return NULL;
}

struct kit_hand *kit_hand(void)
{
	struct kit_hand *h = calloc(1, sizeof(*h));

	cr_assert(h && !sem_init(&h->begin, 0, 0) && !sem_init(&h->end, 0, 0));
	cr_assert_eq(pthread_create(&h->thread, NULL, obey, h), 0);
	return h;
}

static void tell(struct kit_hand *h, bool write, int fd, size_t bytes)
{
	h->write = write;
	h->fd = fd;
	h->bytes = bytes;
	sem_post(&h->begin);
	while (sem_wait(&h->end))
		;
}

void kit_hand_read(struct kit_hand *h, int fd, size_t bytes)
{
	tell(h, false, fd, bytes);
}

void kit_hand_write(struct kit_hand *h, int fd, size_t bytes)
{
	tell(h, true, fd, bytes);
}

/* --- what was found --- */

const struct ft_pair_walk *kit_pairs(void)
{
	ft_pair_walk_close(&pairs);
	cr_assert_eq(ft_probe_pair_walk(&probe, true, ended, &pairs), 0);
	return &pairs;
}

void kit_pairs_sweep(void)
{
	ft_pair_walk_close(&pairs);
	cr_assert_eq(ft_probe_pair_walk(&probe, false, ended, &pairs), 0);
}

const struct ft_pair_stats *kit_pair_stats(int hop)
{
	cr_assert_eq(ft_probe_pair_read(&probe, FT_MAX_HOPS, stats, &totals), 0);
	return &stats[hop];
}

uint64_t kit_pair_loss(enum ft_pair_loss reason)
{
	kit_pair_stats(0);
	return totals.loss[reason];
}

void kit_sign(int fork)
{
	cr_assert_eq(ft_probe_pair_keep_closed(&probe, fork, true), 0);
	signing = true;
}

static void match_signatures(void)
{
	cr_assert_eq(ft_probe_pair_closed(&probe, &closed, &nclosed), 0);
	free(matches);
	matches = calloc(nclosed + 1, sizeof(*matches));
	cr_assert(matches);
	memset(signatures, 0, sizeof(signatures));
	ft_pair_match_closed(closed, nclosed, &probe.plan, 0, UINT64_MAX, signatures, matches,
			     &nmatches);
}

const struct ft_pair_match *kit_signed(size_t *ret_n)
{
	*ret_n = nmatches;
	return matches;
}

struct ft_pair_verdict kit_judge(int fork)
{
	static const struct ft_pair_past nothing_before;
	struct ft_pair_evidence evidence;
	struct ft_pair_verdict verdict;

	if (signing)
		match_signatures();
	kit_pairs();
	ft_pair_evidence_of(kit_pair_stats(fork), plan.hop[fork].from, &evidence);
	for (unsigned int pattern = 0; pattern < FT_NPAIR_PATTERNS; pattern++)
		ft_pair_evidence_add(&evidence, pattern, ended[fork][pattern]);
	for (size_t i = 0; i < pairs.nedges; i++)
		if (pairs.edge[i].edge.hop == fork)
			ft_pair_evidence_add(&evidence, ft_pair_pattern(&pairs.edge[i].edge), 1);
	ft_pair_judge(&stats[fork], &nothing_before, &pairs.open, fork, &evidence,
		      &signatures[fork], &verdict);
	return verdict;
}

static uint16_t remote_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	cr_assert_eq(getpeername(fd, (struct sockaddr *)&ss, &len), 0);
	return ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
					     : ((struct sockaddr_in6 *)&ss)->sin6_port);
}

static uint16_t port_of(int role, int fd)
{
	return role == FT_PAIR_A ? remote_port(fd) : kit_port(fd);
}

const struct ft_pair_flow *kit_pair_flow(int hop, int fd)
{
	const struct ft_pair_flow *found = NULL;

	kit_pairs();
	for (size_t i = 0; i < pairs.nflows; i++) {
		const struct ft_pair_flow *f = &pairs.flow[i].flow;

		if (f->hop != hop || f->port != port_of(f->role, fd))
			continue;
		cr_assert_null(found, "two entries have port %u", f->port);
		found = f;
	}
	return found;
}

unsigned int kit_pair_entries(enum ft_pair_map map)
{
	char key[16];
	unsigned int n = 0;

	while (!bpf_map_get_next_key(probe.map[map], n ? key : NULL, key))
		n++;
	return n;
}

/* --- expectations --- */

static const struct ft_pair_edge_row *edge(int a, int b)
{
	const struct ft_pair_edge_row *found = NULL;
	uint16_t a_port = remote_port(a), b_port = kit_port(b);

	for (size_t i = 0; i < pairs.nedges; i++) {
		const struct ft_pair_edge_row *e = &pairs.edge[i];

		if (e->edge.a_port != a_port || e->edge.b_port != b_port)
			continue;
		cr_assert_null(found, "two edges %u %u", a_port, b_port);
		found = e;
	}
	return found;
}

void kit_expect_evidence(int a, int b, unsigned int pattern)
{
	const struct ft_pair_edge_row *e;
	unsigned int got;

	kit_pairs();
	e = edge(a, b);
	got = e ? ft_pair_pattern(&e->edge) : 0;
	cr_assert_eq(got, pattern, "evidence %#x, expected %#x", got, pattern);
}

bool kit_holds(int a, int b, enum ft_pair_rule rule)
{
	const struct ft_pair_edge_row *e;

	kit_pairs();
	e = edge(a, b);
	return e && ft_pair_holds(ft_pair_pattern(&e->edge), rule);
}

void kit_expect_writes(int a, int b, uint64_t writes)
{
	const struct ft_pair_edge_row *e;
	uint64_t got;

	kit_pairs();
	e = edge(a, b);
	cr_assert(e, "there is no such edge");
	got = e->edge.writes;
	for (size_t i = 0; i < pairs.nflows; i++) {
		const struct ft_pair_flow *f = &pairs.flow[i].flow;

		if ((f->id == e->key.a && f->partner.id == e->key.b) ||
		    (f->id == e->key.b && f->partner.id == e->key.a))
			got += f->writes;
	}
	cr_assert_eq(got, writes, "%llu writes, expected %llu", (unsigned long long)got,
		     (unsigned long long)writes);
}

void kit_expect_edges(unsigned int n)
{
	cr_assert_eq(kit_pairs()->nedges, n, "%zu edges, expected %u", pairs.nedges, n);
}

void kit_expect_ended(int fork, unsigned int pattern, uint64_t n)
{
	uint64_t got = kit_pair_stats(fork)->ended[pattern] + ended[fork][pattern];

	cr_assert_eq(got, n, "%llu edges ended with evidence %#x, expected %llu",
		     (unsigned long long)got, pattern, (unsigned long long)n);
}

void kit_expect_pair_loss(enum ft_pair_loss reason, uint64_t n)
{
	kit_pair_stats(0);
	for (int i = 0; i < FT_NPAIR_LOSS; i++) {
		uint64_t expected = i == (int)reason ? n : 0;

		cr_assert_eq(totals.loss[i], expected, "loss %d: %llu, expected %llu", i,
			     (unsigned long long)totals.loss[i], (unsigned long long)expected);
	}
}

void kit_expect_no_pair_loss(void)
{
	kit_expect_pair_loss(0, 0);
}

struct ft_pair_verdict kit_expect_verdict(int fork, enum ft_pair_class class,
					  enum ft_pair_rule rule)
{
	struct ft_pair_verdict v = kit_judge(fork);

	cr_assert_eq(v.class, class, "class %d, expected %d (confidence %f, agreement %f, rule %d)",
		     v.class, class, v.confidence, v.agreement, v.rule);
	if (class == FT_PAIR_EXACT || class == FT_PAIR_INTERVAL)
		cr_assert_eq(v.rule, rule, "rule %d, expected %d", v.rule, rule);
	return v;
}
