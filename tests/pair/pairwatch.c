// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pairwatch ACCEPT CONNECT EDGES [KEEP] - count and pair one fork: what was accepted on port
 * ACCEPT, and what was connected to port CONNECT for it, in this network namespace.
 *
 * Says "ready", looks once a second until standard input ends, then writes the edges that the
 * chosen rule holds to the file EDGES ("a's remote port, b's local port") and prints the verdict as
 * one line of name=value. KEEP 1: edges stay in the table until the end, for comparison with the
 * truth; 0: as the agent does it. With EVIDENCE in the environment all edges are written, each with
 * its pattern. With PAIRS=0 it only counts: what there is without pairing. DOOR=1 or 2
 * begins with fexit or kprobes.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "config.h"
#include "log.h"
#include "netns.h"
#include "probe.h"
#include "probe_pair.h"

#define A 0 /* hops in the order of the configuration */
#define B 1

static struct ft_probe probe = FT_PROBE_NONE;
static struct ft_probe_pair pair = FT_PROBE_PAIR_NONE;
static struct ft_pair_history history;
static struct ft_pair_stats stats[FT_MAX_HOPS];
static struct ft_pair_totals totals;
static uint64_t ended[FT_MAX_HOPS][FT_NPAIR_PATTERNS]; /* removed by walks */
static struct ft_pair_evidence evidence[FT_MAX_HOPS];
static struct ft_pair_signatures signatures[FT_MAX_HOPS];
static struct ft_pair_walk walk_now;
static struct ft_pair_verdict verdict;
static struct ft_pair_closed_row *closed;
static size_t nclosed;
static struct ft_pair_match *matched;
static size_t nmatched;
static uint64_t signed_to;
static bool keep;

static void die(const char *what, int err)
{
	fprintf(stderr, "pairwatch: %s: %s\n", what, strerror(-err));
	ft_probe_pair_close(&pair);
	ft_probe_close(&probe);
	exit(70);
}

static void configure(const char *accept, const char *connect, struct ft_config *c)
{
	struct ft_buf errors = {0};
	char text[256];

	snprintf(text, sizeof(text),
		 "netns = \"own\"; hops = ( { name = \"a\"; accept = \"%s\"; }, "
		 "{ name = \"b\"; connect = \"%s\"; from = \"a\"; } );",
		 accept, connect);
	if (ft_config_parse(text, "arguments", c, &errors)) {
		fputs(ft_buf_text(&errors), stderr);
		exit(64);
	}
}

static bool counts_only(void)
{
	const char *pairs = getenv("PAIRS");

	return pairs && pairs[0] == '0';
}

static void start(const struct ft_config *c)
{
	struct ft_hop_def *def = calloc(FT_MAX_HOPS, sizeof(*def));
	struct ft_rules *rules = calloc(1, sizeof(*rules));
	struct ft_probe_pair_options po = {
		.max_flows = c->max_flows, .keep_ended = keep, .max_edges = keep ? 1048576 : 0};
	struct ft_netns ns = {0};
	const char *door = getenv("DOOR");
	struct ft_pair_control plan;
	char why[256] = "";
	int err = ft_netns_own(&ns);
	struct ft_probe_options o = {
		.max_flows = c->max_flows, .interval_ms = 1000, .netns = err ? 0 : ns.inode[0]};

	if (err || !def || !rules)
		die("namespace", err);
	err = ft_probe_load(&probe, &o, why, sizeof(why));
	if (err)
		die(why, err);
	err = ft_probe_set_hops(&probe, c);
	if (!err)
		err = ft_probe_start(&probe, ns.fd, ns.n, false);
	if (err)
		die("start", err);
	if (counts_only())
		return;
	po.first_door = door ? atoi(door) : 0;
	err = ft_probe_pair_load(&pair, probe.map[FT_MAP_FLOWS], &po, why, sizeof(why));
	if (err)
		die(why, err);
	ft_config_compile(c, def, rules);
	if (ft_pair_plan(def, c->nhops, rules, &plan, NULL) != 1)
		die("plan", -22);
	err = ft_probe_pair_set(&pair, &plan);
	if (!err)
		err = ft_probe_pair_keep_closed(&pair, B, true);
	if (err)
		die("plan", err);
	ft_netns_close(&ns);
	free(def);
	free(rules);
}

/* Kept edges end here and not in the walk. */
static void count_kept(void)
{
	memset(ended, 0, sizeof(ended));
	for (size_t i = 0; i < walk_now.nedges; i++) {
		const struct ft_pair_edge_row *e = &walk_now.edge[i];

		if (!ft_pair_flow_named(walk_now.flow, walk_now.nflows, e->key.a) ||
		    !ft_pair_flow_named(walk_now.flow, walk_now.nflows, e->key.b))
			ended[e->edge.hop][ft_pair_pattern(&e->edge)]++;
	}
}

static void sign(uint64_t until)
{
	size_t done, found = 0;
	int err = ft_probe_pair_closed(&pair, &closed, &nclosed);

	if (err)
		die("read closed flows", err);
	matched = realloc(matched, (nmatched + nclosed + 1) * sizeof(*matched));
	if (!matched)
		die("closed flows", -12);
	done = ft_pair_match_closed(closed, nclosed, &pair.plan, signed_to, until, signatures,
				    matched + nmatched, &found);
	signed_to = until;
	nmatched += found;
	nclosed -= done;
	memmove(closed, closed + done, nclosed * sizeof(*closed));
}

static void look(bool last)
{
	struct ft_pair_evidence window;
	int err;

	ft_pair_walk_close(&walk_now);
	err = ft_probe_pair_walk(&pair, keep, ended, &walk_now);
	if (!err)
		err = ft_probe_pair_read(&pair, 2, stats, &totals);
	if (err)
		die("read", err);
	if (keep)
		count_kept();
	ft_pair_evidence_of(&stats[B], &evidence[B]);
	for (unsigned int pattern = 0; pattern < FT_NPAIR_PATTERNS; pattern++)
		ft_pair_evidence_add(&evidence[B], pattern, ended[B][pattern]);
	window = ft_pair_window(&history, walk_now.walk_ns, B, &evidence[B], &walk_now.open);
	ft_pair_history_add(&history, walk_now.walk_ns, evidence);
	sign(last ? UINT64_MAX : walk_now.walk_ns - FT_PAIR_SIGNATURE_NS);
	ft_pair_judge(&stats[B], &walk_now.open, B, &window, &signatures[B], &verdict);
}

static void write_edges(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		die(path, -1);
	if (getenv("EVIDENCE"))
		for (size_t i = 0; i < walk_now.nedges; i++) {
			const struct ft_pair_edge *e = &walk_now.edge[i].edge;

			fprintf(f, "%u %u %u\n", e->a_port, e->b_port, ft_pair_pattern(e));
		}
	else if (verdict.class == FT_PAIR_SIGNATURE)
		for (size_t i = 0; i < nmatched; i++)
			fprintf(f, "%u %u\n", matched[i].a_port, matched[i].b_port);
	else
		for (size_t i = 0; i < walk_now.nedges; i++) {
			const struct ft_pair_edge *e = &walk_now.edge[i].edge;

			if (ft_pair_holds(ft_pair_pattern(e), verdict.rule))
				fprintf(f, "%u %u\n", e->a_port, e->b_port);
		}
	fclose(f);
}

static void print_histogram(const char *name, const uint64_t *h)
{
	printf(" %s=", name);
	for (int i = 0; i < FT_NPAIR_FANOUT; i++)
		printf("%s%lu", i ? "," : "", (unsigned long)h[i]);
}

static void print(void)
{
	static const char *const class[] = {"unknown", "not", "interval", "exact", "signature"};
	static const char *const rule[] = {"last", "latch", "fifo", "back"};
	static const char *const door[] = {"tracepoint", "fexit", "kprobe"};
	const struct ft_pair_stats *a = &stats[A], *b = &stats[B];

	printf("class=%s rule=%s door=%s agreement=%.3f confidence=%.3f coverage=%.3f edges=%lu",
	       class[verdict.class], rule[verdict.rule], door[pair.door], verdict.agreement,
	       verdict.confidence, verdict.coverage, (unsigned long)verdict.edges);
	for (int i = 0; i < FT_NPAIR_RULES; i++)
		printf(" fw_%s=%lu rev_%s=%lu both_%s=%lu", rule[i],
		       (unsigned long)evidence[B].forward[i], rule[i],
		       (unsigned long)evidence[B].backward[i], rule[i],
		       (unsigned long)evidence[B].both[i]);
	printf(" mean=%.4f low=%.4f high=%.4f max=%lu flows=%lu reuse=%.4f", verdict.mean,
	       verdict.mean_low, verdict.mean_high, (unsigned long)verdict.max,
	       (unsigned long)verdict.flows, verdict.reuse_mean);
	printf(" back=%lu ambiguous=%lu handed=%lu unhanded=%lu", (unsigned long)b->back,
	       (unsigned long)b->back_ambiguous, (unsigned long)b->handed,
	       (unsigned long)b->unhanded);
	printf(" exchanges_a=%lu exchanges_b=%lu closed_a=%lu single_a=%lu",
	       (unsigned long)a->exchanges, (unsigned long)b->exchanges, (unsigned long)a->closed,
	       (unsigned long)a->closed_single);
	printf(" waits=%lu wait_sum_ms=%.2f signed=%lu ambiguous_b=%lu unmatched_b=%lu",
	       (unsigned long)(a->wait[0] + a->wait[1] + a->wait[2] + a->wait[3] + a->wait[4] +
			       a->wait[5] + a->wait[6] + a->wait[7] + a->wait[8] + a->wait[9] +
			       a->wait[10] + a->wait[11] + a->wait[12] + a->wait[13]),
	       a->wait_sum_ns / 1e6, (unsigned long)signatures[B].matched,
	       (unsigned long)signatures[B].ambiguous, (unsigned long)signatures[B].unmatched);
	print_histogram("closed", verdict.closed);
	print_histogram("open", verdict.open);
	for (int i = 0; i < FT_NPAIR_LOSS; i++)
		printf("%s%lu", i ? "," : " loss=", (unsigned long)totals.loss[i]);
	puts("");
}

int main(int argc, char **argv)
{
	static struct ft_config c;
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char byte;

	ft_log_set_verbosity(getenv("VERBOSE") ? 2 : 0);
	if (argc < 4)
		return 64;
	keep = argc > 4 && argv[4][0] == '1';
	configure(argv[1], argv[2], &c);
	start(&c);
	puts("ready");
	fflush(stdout);
	while (poll(&in, 1, 1000) == 0 || read(STDIN_FILENO, &byte, 1) > 0)
		if (!counts_only())
			look(false);
	if (counts_only()) {
		ft_probe_close(&probe);
		return 0;
	}
	look(true);
	look(true); /* the first of these may have been a walk in the middle of closes */
	write_edges(argv[3]);
	print();
	ft_pair_walk_close(&walk_now);
	free(closed);
	free(matched);
	ft_probe_pair_close(&pair);
	ft_probe_close(&probe);
	return 0;
}
