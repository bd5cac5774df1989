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

#include "log.h"
#include "one_fork.h"

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
	int err = ft_probe_pair_closed(&fork_pair, &closed, &nclosed);

	if (err)
		fork_die("read closed flows", err);
	matched = realloc(matched, (nmatched + nclosed + 1) * sizeof(*matched));
	if (!matched)
		fork_die("closed flows", -12);
	done = ft_pair_match_closed(closed, nclosed, &fork_pair.plan, signed_to, until, signatures,
				    matched + nmatched, &found);
	signed_to = until;
	nmatched += found;
	nclosed -= done;
	memmove(closed, closed + done, nclosed * sizeof(*closed));
}

static void look(bool last)
{
	struct ft_pair_evidence window;
	struct ft_pair_past before;
	int err;

	ft_pair_walk_close(&walk_now);
	err = ft_probe_pair_walk(&fork_pair, keep, ended, &walk_now);
	if (!err)
		err = ft_probe_pair_read(&fork_pair, 2, stats, &totals);
	if (err)
		fork_die("read", err);
	if (keep)
		count_kept();
	ft_pair_evidence_of(&stats[FORK_B], FORK_A, &evidence[FORK_B]);
	for (unsigned int pattern = 0; pattern < FT_NPAIR_PATTERNS; pattern++)
		ft_pair_evidence_add(&evidence[FORK_B], pattern, ended[FORK_B][pattern]);
	window = ft_pair_window(&history, walk_now.walk_ns, FORK_B, &evidence[FORK_B],
				&walk_now.open);
	before = ft_pair_minute_ago(&history, walk_now.walk_ns, FORK_B);
	ft_pair_history_add(&history, walk_now.walk_ns, evidence, stats);
	sign(last ? UINT64_MAX : walk_now.walk_ns - FT_PAIR_SIGNATURE_NS);
	ft_pair_judge(&stats[FORK_B], &before, &walk_now.open, FORK_B, &window, &signatures[FORK_B],
		      &verdict);
}

static void write_edges(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		fork_die(path, -1);
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
	const struct ft_pair_stats *a = &stats[FORK_A], *b = &stats[FORK_B];

	printf("class=%s rule=%s door=%s agreement=%.3f confidence=%.3f coverage=%.3f edges=%lu",
	       class[verdict.class], rule[verdict.rule], door[fork_pair.door], verdict.agreement,
	       verdict.confidence, verdict.coverage, (unsigned long)verdict.edges);
	for (int i = 0; i < FT_NPAIR_RULES; i++)
		printf(" fw_%s=%lu rev_%s=%lu both_%s=%lu", rule[i],
		       (unsigned long)evidence[FORK_B].forward[i], rule[i],
		       (unsigned long)evidence[FORK_B].backward[i], rule[i],
		       (unsigned long)evidence[FORK_B].both[i]);
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
	       a->wait_sum_ns / 1e6, (unsigned long)signatures[FORK_B].matched,
	       (unsigned long)signatures[FORK_B].ambiguous,
	       (unsigned long)signatures[FORK_B].unmatched);
	print_histogram("closed", verdict.closed);
	print_histogram("open", verdict.open);
	for (int i = 0; i < FT_NPAIR_LOSS; i++)
		printf("%s%lu", i ? "," : " loss=", (unsigned long)totals.loss[i]);
	puts("");
}

int main(int argc, char **argv)
{
	struct fork_options o = {.door = getenv("DOOR")};
	const char *pairs = getenv("PAIRS");
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char byte;

	ft_log_set_verbosity(getenv("VERBOSE") ? 2 : 0);
	if (argc < 4)
		return 64;
	keep = argc > 4 && argv[4][0] == '1';
	o.counts_only = pairs && pairs[0] == '0';
	o.keep = keep;
	fork_start(argv[1], argv[2], &o);
	puts("ready");
	fflush(stdout);
	while (poll(&in, 1, 1000) == 0 || read(STDIN_FILENO, &byte, 1) > 0)
		if (!o.counts_only)
			look(false);
	if (o.counts_only) {
		fork_stop();
		return 0;
	}
	look(true);
	look(true); /* the first of these may have been a walk in the middle of closes */
	write_edges(argv[3]);
	print();
	ft_pair_walk_close(&walk_now);
	free(closed);
	free(matched);
	fork_stop();
	return 0;
}
