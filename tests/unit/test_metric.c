/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table of metrics against the rules of Prometheus and against the contract's names. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

#include "metric.h"
#include "tcp.h"

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && !strcmp(name + len - n, end);
}

static const struct ft_metric *find(const char *name)
{
	for (unsigned int i = 0; i < ft_nmetrics; i++)
		if (!strcmp(ft_metrics[i].name, name))
			return &ft_metrics[i];
	return NULL;
}

Test(metric, every_family_has_a_name_of_its_own_in_the_prefix)
{
	for (unsigned int i = 0; i < ft_nmetrics; i++) {
		const char *name = ft_metrics[i].name;

		cr_expect_eq(strncmp(name, "fantail_", 8), 0, "%s", name);
		cr_expect_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name), "%s", name);
		cr_expect_eq(find(name), &ft_metrics[i], "%s is there twice", name);
	}
}

Test(metric, counters_and_only_counters_end_in_total)
{
	for (unsigned int i = 0; i < ft_nmetrics; i++)
		cr_expect_eq(ends_with(ft_metrics[i].name, "_total"),
			     ft_metrics[i].type == FT_COUNTER, "%s", ft_metrics[i].name);
}

Test(metric, seconds_and_ratios_say_so_in_the_name)
{
	for (unsigned int i = 0; i < ft_nmetrics; i++) {
		const struct ft_metric *m = &ft_metrics[i];

		cr_expect_eq(ends_with(m->name, "_seconds"), !strcmp(m->unit, "seconds"), "%s",
			     m->name);
		cr_expect_eq(ends_with(m->name, "_ratio"), !strcmp(m->unit, "ratio"), "%s",
			     m->name);
	}
}

Test(metric, help_is_a_sentence_on_one_line)
{
	for (unsigned int i = 0; i < ft_nmetrics; i++) {
		const char *help = ft_metrics[i].help;

		cr_expect(isupper((unsigned char)help[0]), "%s", ft_metrics[i].name);
		cr_expect(ends_with(help, "."), "%s", ft_metrics[i].name);
		cr_expect_null(strpbrk(help, "\n\\"), "%s", ft_metrics[i].name);
	}
}

Test(metric, a_summary_or_histogram_has_its_own_scope)
{
	for (unsigned int i = 0; i < ft_nmetrics; i++) {
		const struct ft_metric *m = &ft_metrics[i];

		bool buckets = m->scope == FT_PER_LIFETIME || m->scope == FT_PER_WAIT;

		cr_expect_eq(m->type == FT_HISTOGRAM, buckets, "%s", m->name);
		cr_expect_eq(m->type == FT_SUMMARY, m->scope == FT_PER_EDGE, "%s", m->name);
		cr_expect_eq(m->value == NULL, buckets, "%s", m->name);
	}
}

/* Dashboards hold on to these. */
Test(metric, the_contract_is_kept)
{
	const char *const name[] = {
		"fantail_build_info",
		"fantail_start_time_seconds",
		"fantail_last_write_timestamp_seconds",
		"fantail_flows_active",
		"fantail_flows_opened_total",
		"fantail_flows_closed_total",
		"fantail_connect_failures_total",
		"fantail_flows_state",
		"fantail_state_transitions_total",
		"fantail_flow_lifetime_seconds",
		"fantail_fanout_ratio",
		"fantail_fanout_flows",
		"fantail_peers",
		"fantail_hop_limit",
		"fantail_loss_total",
	};

	for (unsigned int i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		cr_expect_not_null(find(name[i]), "%s", name[i]);
}

Test(metric, an_accept_hop_never_sends_a_syn)
{
	unsigned int accept = 0, connect = 0;

	for (unsigned int s = 0; s < FT_NSTATES + 2; s++) {
		accept += ft_metric_state_exported(FT_ACCEPT, s);
		connect += ft_metric_state_exported(FT_CONNECT, s);
	}
	/* established, fin_wait1, fin_wait2, close_wait, time_wait; and syn_recv on one side,
	 * syn_sent on the other */
	cr_assert_eq(accept, 6);
	cr_assert_eq(connect, 6);
	cr_assert_not(ft_metric_state_exported(FT_ACCEPT, FT_SYN_SENT));
	cr_assert_not(ft_metric_state_exported(FT_CONNECT, FT_SYN_RECV));
}

Test(metric, exported_transitions_are_arrivals_and_ways_out_of_established)
{
	unsigned int accept = 0, connect = 0;

	for (unsigned int from = 0; from < FT_NSTATES; from++)
		for (unsigned int to = 0; to < FT_NSTATES; to++) {
			accept += ft_metric_transition_exported(FT_ACCEPT, from, to);
			connect += ft_metric_transition_exported(FT_CONNECT, from, to);
		}
	/* opened; closed here, by the peer */
	cr_assert_eq(accept, 3);
	cr_assert_eq(connect, 3);
	cr_assert(ft_metric_transition_exported(FT_ACCEPT, FT_SYN_RECV, FT_ESTABLISHED));
	cr_assert_not(ft_metric_transition_exported(FT_CONNECT, FT_SYN_RECV, FT_ESTABLISHED));
}

Test(metric, lifetime_bounds_include_those_of_nginx_and_the_nlb)
{
	const unsigned int want_ms[] = {75000, 350000, 600000};

	cr_assert_eq(ft_metric_nlifetime_bounds, 3);
	for (unsigned int i = 0; i < 3; i++)
		cr_expect_eq(ft_lifetime_bounds_ms[ft_metric_lifetime_bounds[i]], want_ms[i]);
}
