/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The textfile: its exact text, and the rules whose breach makes node_exporter drop series
 * without a word (duplicates, families in pieces) or skip the file (UTF-8, final newline). */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "golden.h"
#include "metric.h"
#include "pair.h"
#include "view.h"

static struct ft_report rep;

static void print(struct ft_buf *out)
{
	const struct ft_view_agent agent = {.last_write_seconds = 1795176000.25, .write_errors = 2};

	ft_view_prom(&rep, &agent, out);
	cr_assert_eq(ft_buf_error(out), 0);
}

static void golden(const char *recording, const char *file)
{
	struct ft_buf out = {0};

	golden_report(recording, &rep);
	print(&out);
	golden_check(file, ft_buf_text(&out));
	ft_buf_close(&out);
}

Test(view_prom, storm_is_as_recorded)
{
	golden("storm", "storm.prom");
}

Test(view_prom, no_hops_is_as_recorded)
{
	golden("empty", "empty.prom");
}

Test(view_prom, hostile_names_are_as_recorded)
{
	golden("names", "names.prom");
}

static unsigned int count_series(const char *text)
{
	unsigned int n = 0;

	for (; *text; text += strcspn(text, "\n") + 1)
		n += *text != '#';
	return n;
}

Test(view_prom, six_hops_have_at_most_250_series)
{
	struct ft_buf out = {0};
	unsigned int n;

	/* six.snap: 5 edges; every counter is > 0, every hop has a limit and was scanned, and has
	 * one transition that is not exported (CLOSE_WAIT -> CLOSE) */
	golden_report("six", &rep);
	cr_assert_eq(rep.nhops, 6);
	cr_assert_eq(rep.nedges, 5);
	print(&out);
	n = count_series(ft_buf_text(&out));
	cr_expect_leq(n, 250, "%u series", n);
	/* Per agent: info, 2 times, 2 of the table, write errors, scan = 7; losses; per hop:
	 * active, opened, 4 closed, 6 of the histogram, limit, stale, drift = 15; accept: 6 states,
	 * 3 transitions, peers, held, 2 of the backlog = 13; connect: 5 failures, 6 states, 3
	 * transitions, 2 of the ports = 16; per edge: 2 ratios, sum, count = 4. */
	cr_expect_eq(n, 7 + FT_NLOSS + 6 * 15 + 13 + 5 * 16 + 5 * 4, "%u series", n);
	ft_buf_reset(&out);
	/* What pairing adds is most where accepting and connecting hops take turns: 3 edges of
	 * ratio, sum, count; 6 exchanges; 3 queue waits of 6; their loss */
	for (unsigned int i = 0; i < 6; i++) {
		rep.hop[i].side = i % 2 ? FT_CONNECT : FT_ACCEPT;
		rep.hop[i].peers = 1;
		rep.hop[i].limits.ports_used = 1;
		rep.hop[i].limits.ports_limit = i % 2;
		rep.hop[i].pairs.role = i % 2 ? FT_PAIR_B : FT_PAIR_A;
		rep.hop[i].pairs.class = FT_PAIR_EXACT;
		rep.hop[i].pairs.open = rep.hop[i].pairs.recent = (struct ft_pair_mean){1, 1, 1};
	}
	print(&out);
	n = count_series(ft_buf_text(&out));
	cr_expect_leq(n, 250, "%u series with pairs", n);
	cr_expect_eq(n, 7 + FT_NLOSS + 6 * 15 + 3 * 13 + 3 * 16 + 5 * 4 + 3 * 3 + 6 + 3 * 6 + 1,
		     "%u series with pairs", n);
	ft_buf_close(&out);
}

/* Every series line of the text, without its value, is there once. */
static void check_unique(const char *text)
{
	for (const char *a = text; *a; a += strcspn(a, "\n") + 1) {
		size_t len = strcspn(a, "\n");
		const char *b = a + len + 1;

		while (*a != '#' && a[len] != ' ')
			len--;
		for (; *a != '#' && *b; b += strcspn(b, "\n") + 1)
			cr_expect(strncmp(a, b, len + 1), "twice: %.*s", (int)len, a);
	}
}

/* Each line belongs to the family whose HELP and TYPE came last, and each family is opened
 * once. */
static void check_families(const char *text)
{
	char family[128] = "";
	unsigned int opened = 0;

	for (; *text; text += strcspn(text, "\n") + 1) {
		if (!strncmp(text, "# HELP ", 7)) {
			snprintf(family, sizeof(family), "%.*s", (int)strcspn(text + 7, " "),
				 text + 7);
			cr_expect_str_eq(family, ft_metrics[opened++].name);
		} else if (!strncmp(text, "# TYPE ", 7)) {
			cr_expect_eq(strncmp(text + 7, family, strlen(family)), 0);
		} else {
			cr_expect_eq(strncmp(text, family, strlen(family)), 0, "%.*s in %s",
				     (int)strcspn(text, "\n"), text, family);
		}
	}
	cr_expect_eq(opened, ft_nmetrics);
}

static void check_rules(const char *recording)
{
	struct ft_buf out = {0};

	golden_report(recording, &rep);
	print(&out);
	cr_assert_eq(ft_buf_text(&out)[out.len - 1], '\n', "no final newline");
	cr_assert_null(strstr(ft_buf_text(&out), "\n\n"));
	check_families(ft_buf_text(&out));
	check_unique(ft_buf_text(&out));
	ft_buf_close(&out);
}

Test(view_prom, families_are_whole_and_series_unique)
{
	check_rules("storm");
	check_rules("six");
	check_rules("names");
	check_rules("empty");
}

static void expect_line(const char *text, const char *line)
{
	char all[256];

	snprintf(all, sizeof(all), "\n%s\n", line);
	cr_expect(strstr(text, all), "no line: %s", line);
}

Test(view_prom, the_ratio_has_its_numerator_and_denominator_beside_it)
{
	struct ft_buf out = {0};
	const char *text;

	golden_report("storm", &rep);
	print(&out);
	text = ft_buf_text(&out);
	/* 45 / 15 open; (3000 - 2676) / (1000 - 880) opened in the last minute */
	expect_line(text, "fantail_fanout_ratio{from=\"nlb\",to=\"queue\",kind=\"stock\"} 3");
	expect_line(text, "fantail_fanout_ratio{from=\"nlb\",to=\"queue\",kind=\"flow\"} 2.7");
	expect_line(text, "fantail_fanout_flows_sum{from=\"nlb\",to=\"queue\"} 45");
	expect_line(text, "fantail_fanout_flows_count{from=\"nlb\",to=\"queue\"} 15");
	ft_buf_close(&out);
}

Test(view_prom, what_is_known_in_advance_is_zero_and_what_is_absent_is_nan_or_missing)
{
	struct ft_buf out = {0};
	const char *text;

	golden_report("idle", &rep);
	rep.hop[1].peers = 3; /* of a connect hop: not what peers means */
	print(&out);
	text = ft_buf_text(&out);
	expect_line(text, "fantail_flows_active{hop=\"nlb\",side=\"accept\"} 0");
	expect_line(text, "fantail_connect_failures_total{hop=\"queue\",reason=\"timeout\"} 0");
	expect_line(text, "fantail_state_transitions_total{hop=\"queue\",from=\"syn_sent\","
			  "to=\"established\"} 0");
	expect_line(text, "fantail_loss_total{reason=\"table_full\"} 0");
	expect_line(text, "fantail_peers{hop=\"nlb\"} 0");
	expect_line(text, "fantail_fanout_ratio{from=\"nlb\",to=\"queue\",kind=\"stock\"} NaN");
	cr_expect_null(strstr(text, "fantail_connect_failures_total{hop=\"nlb\""));
	cr_expect_null(strstr(text, "state=\"syn_sent\"} 0\nfantail_flows_state{hop=\"nlb\""));
	cr_expect_null(strstr(text, "fantail_hop_limit{hop=\"nlb\"}"));
	cr_expect_null(strstr(text, "fantail_peers{hop=\"queue\"}"));
	ft_buf_close(&out);
}

Test(view_prom, the_losses_of_pairs_are_one_series_if_there_are_pairs)
{
	struct ft_buf out = {0};

	golden_report("storm", &rep);
	for (unsigned int i = 0; i < rep.nhops; i++)
		rep.hop[i].pairs.role = FT_PAIR_NONE;
	memset(rep.pair_loss, 0, sizeof(rep.pair_loss));
	print(&out);
	cr_expect_null(strstr(ft_buf_text(&out), "reason=\"pairs\""));
	ft_buf_reset(&out);
	rep.hop[1].pairs.role = FT_PAIR_B;
	print(&out);
	expect_line(ft_buf_text(&out), "fantail_loss_total{reason=\"pairs\"} 0");
	ft_buf_reset(&out);
	for (unsigned int i = 0; i < FT_NPAIR_LOSS; i++)
		rep.pair_loss[i] = i + 1;
	print(&out);
	expect_line(ft_buf_text(&out), "fantail_loss_total{reason=\"pairs\"} 28");
	ft_buf_close(&out);
}

Test(view_prom, a_file_that_was_never_written_has_no_time)
{
	const struct ft_view_agent agent = {.last_write_seconds = NAN};
	struct ft_buf out = {0};

	golden_report("idle", &rep);
	ft_view_prom(&rep, &agent, &out);
	cr_expect_null(strstr(ft_buf_text(&out), "\nfantail_last_write_timestamp_seconds "));
	ft_buf_close(&out);
}

Test(view_prom, buckets_are_cumulative_and_end_in_the_count)
{
	struct ft_buf out = {0};
	const char *text;

	/* six.snap: one flow in each of the 14 slots, bounds 0.01 0.1 1 | 5 15 30 60 75 | 90
	 * 120 300 350 | 600 | more */
	golden_report("six", &rep);
	print(&out);
	text = ft_buf_text(&out);
	expect_line(text, "fantail_flow_lifetime_seconds_bucket{hop=\"h0\",le=\"75\"} 8");
	expect_line(text, "fantail_flow_lifetime_seconds_bucket{hop=\"h0\",le=\"350\"} 12");
	expect_line(text, "fantail_flow_lifetime_seconds_bucket{hop=\"h0\",le=\"600\"} 13");
	expect_line(text, "fantail_flow_lifetime_seconds_bucket{hop=\"h0\",le=\"+Inf\"} 14");
	expect_line(text, "fantail_flow_lifetime_seconds_sum{hop=\"h0\"} 1");
	expect_line(text, "fantail_flow_lifetime_seconds_count{hop=\"h0\"} 14");
	ft_buf_close(&out);
}

Test(view_prom, label_values_are_escaped_and_utf8)
{
	struct ft_buf out = {0};
	const char *text;

	golden_report("names", &rep);
	rep.hop[2].name[0] = '\xff';
	print(&out);
	text = ft_buf_text(&out);
	expect_line(text, "fantail_flows_active{hop=\"a\\\"b\\\\c\\nd\",side=\"accept\"} 1");
	expect_line(text, "fantail_flows_active{hop=\"?oop1\",side=\"connect\"} 0");
	ft_buf_close(&out);
}

Test(view_prom, what_no_scan_has_told_has_no_series)
{
	struct ft_buf out = {0};

	golden_report("storm", &rep);
	rep.scanned = false;
	print(&out);
	for (const char *const *name =
		     (const char *const[]){"held_flows{", "stale_flows{", "listen_backlog{",
					   "drift_flows{", "ephemeral_ports_used{",
					   "\nfantail_scan_duration_seconds ",
					   "state=\"time_wait\"", "state=\"syn_recv\"", NULL};
	     *name; name++)
		cr_expect_null(strstr(ft_buf_text(&out), *name), "%s", *name);
	ft_buf_close(&out);
}

Test(view_prom, what_a_scan_has_told_is_exported_as_it_is)
{
	struct ft_buf out = {0};

	golden_report("storm", &rep);
	print(&out);
	expect_line(ft_buf_text(&out), "fantail_held_flows{hop=\"nlb\"} 11");
	expect_line(ft_buf_text(&out), "fantail_listen_backlog{hop=\"nlb\"} 7");
	expect_line(ft_buf_text(&out), "fantail_listen_backlog_limit{hop=\"nlb\"} 511");
	expect_line(ft_buf_text(&out), "fantail_ephemeral_ports_used{hop=\"queue\"} 58");
	expect_line(ft_buf_text(&out), "fantail_ephemeral_ports_limit{hop=\"queue\"} 28232");
	expect_line(ft_buf_text(&out), "fantail_drift_flows{hop=\"queue\"} -1");
	expect_line(ft_buf_text(&out), "fantail_stale_flows{hop=\"nginx\"} 2");
	expect_line(ft_buf_text(&out), "fantail_scan_duration_seconds 0.002345678");
	expect_line(ft_buf_text(&out), "fantail_flows_state{hop=\"nlb\",state=\"time_wait\"} 12");
	expect_line(ft_buf_text(&out), "fantail_flows_state{hop=\"nlb\",state=\"syn_recv\"} 2");
	/* a side that cannot have one */
	cr_expect_null(strstr(ft_buf_text(&out), "held_flows{hop=\"queue\"}"));
	cr_expect_null(strstr(ft_buf_text(&out), "ports_used{hop=\"nlb\"}"));
	ft_buf_close(&out);
}
