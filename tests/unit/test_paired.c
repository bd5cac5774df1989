/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the views make of a verdict: a number only where there is one to give. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "golden.h"
#include "pair.h"
#include "view.h"

#define S 1000000000ULL

static struct ft_report rep;

/* The storm's edge nlb -> queue: 980 clients, 2613 distinct connections, most of them exact. */
static struct ft_report_paired paired_as(enum ft_pair_class class)
{
	struct ft_report_paired p;

	golden_report("storm", &rep);
	rep.hop[1].pairs.class = class;
	ft_report_paired(&rep.hop[1], &p);
	return p;
}

Test(paired, an_exact_edge_has_a_mean_and_its_quotient)
{
	struct ft_report_paired p = paired_as(FT_PAIR_EXACT);

	cr_expect(p.known && p.pairable);
	cr_expect_float_eq(p.all.mean, 2613.0 / 980, 1e-9);
	cr_expect_float_eq(p.all.low, p.all.mean, 1e-9);
	cr_expect_float_eq(p.all.high, p.all.mean, 1e-9);
	cr_expect_float_eq(p.closed.mean, 2568.0 / 965, 1e-9);
	cr_expect_float_eq(p.open.mean, 3, 1e-9);
	cr_expect_float_eq(p.recent.mean, 324.0 / 135, 1e-9);
	cr_expect_eq(p.all.max, 9);
	cr_expect_eq(p.open.max, 4);
	cr_expect_float_eq(p.confidence, 0.998, 1e-9);
	cr_expect_float_eq(p.coverage, 1, 1e-9);
	cr_expect_float_eq(p.reuse_mean, 1, 1e-9);
	cr_expect_float_eq(paired_as(FT_PAIR_SIGNATURE).all.mean, 2613.0 / 980, 1e-9);
}

Test(paired, an_interval_has_no_mean)
{
	struct ft_report_paired p;

	golden_report("storm", &rep);
	rep.hop[1].pairs.class = FT_PAIR_INTERVAL;
	rep.hop[1].pairs.closed = (struct ft_pair_mean){.flows = 90, .partners = 200, .most = 260};
	rep.hop[1].pairs.open = (struct ft_pair_mean){.flows = 10, .partners = 50, .most = 50};
	rep.hop[1].pairs.recent = (struct ft_pair_mean){.flows = 20, .partners = 60, .most = 62};
	ft_report_paired(&rep.hop[1], &p);
	cr_expect(p.known && p.pairable);
	cr_expect(isnan(p.all.mean) && isnan(p.recent.mean));
	cr_expect_float_eq(p.all.low, 2.5, 1e-9);
	cr_expect_float_eq(p.all.high, 3.1, 1e-9);
	cr_expect_float_eq(p.recent.low, 3.0, 1e-9);
	cr_expect_float_eq(p.recent.high, 3.1, 1e-9);
	rep.hop[1].pairs.recent = (struct ft_pair_mean){0};
	ft_report_paired(&rep.hop[1], &p);
	cr_expect(isnan(p.recent.low), "a minute without any: no ratio, whatever was before");
}

Test(paired, what_is_not_pairable_has_its_confidence_and_no_number)
{
	struct ft_report_paired p = paired_as(FT_PAIR_NOT);

	cr_expect(p.known);
	cr_expect_not(p.pairable);
	cr_expect(isnan(p.all.mean) && isnan(p.all.low) && isnan(p.all.high) &&
		  isnan(p.reuse_mean));
	cr_expect(isnan(p.recent.mean) && isnan(p.recent.low) && isnan(p.open.mean));
	cr_expect_float_eq(p.confidence, 0.998, 1e-9);
	cr_expect_not(paired_as(FT_PAIR_UNKNOWN).known);
	rep.hop[1].pairs.class = FT_PAIR_EXACT;
	rep.hop[1].pairs.role = FT_PAIR_NONE;
	ft_report_paired(&rep.hop[1], &p);
	cr_expect_not(p.known);
}

static json_t *paired_json(enum ft_pair_class class)
{
	struct ft_buf out = {0};
	json_t *root, *ret;

	paired_as(class);
	cr_assert_eq(ft_view_json(&rep, FT_SHOW_EDGES, 1, &out), 0);
	root = json_loads(ft_buf_text(&out), 0, NULL);
	cr_assert_not_null(root);
	ret = json_incref(
		json_object_get(json_array_get(json_object_get(root, "edges"), 0), "paired"));
	json_decref(root);
	ft_buf_close(&out);
	return ret;
}

Test(paired, json_says_no_more_than_is_known)
{
	json_t *exact = paired_json(FT_PAIR_EXACT), *not = paired_json(FT_PAIR_NOT);
	json_t *unknown = paired_json(FT_PAIR_UNKNOWN);

	cr_expect_eq(json_integer_value(json_object_get(exact, "max")), 9);
	/* 200 clients with 3 connections; 20 with 9 to 16 are under the bound 16 */
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(exact, "histogram"), "3")),
		     200);
	cr_expect_null(json_object_get(json_object_get(exact, "histogram"), "64"));
	cr_expect(json_is_null(json_object_get(not, "mean")));
	cr_expect(json_is_null(json_object_get(not, "histogram")));
	cr_expect(json_is_real(json_object_get(not, "confidence")));
	cr_expect(json_is_null(unknown));
	json_decref(exact);
	json_decref(not );
	json_decref(unknown);
}

Test(paired, flows_per_exchange_counts_from_when_pairing_began)
{
	golden_report("storm", &rep);
	/* 3000 opened, 30 of them before; 5100 exchanges */
	cr_expect_float_eq(ft_report_flows_per_exchange(&rep.hop[1]), 2970.0 / 5100, 1e-9);
	cr_expect(isnan(ft_report_flows_per_exchange(&rep.hop[2])), "not paired");
	rep.hop[1].pairs.exchanges = 0;
	cr_expect(isnan(ft_report_flows_per_exchange(&rep.hop[1])), "nothing to divide by");
}

Test(paired, a_pair_is_an_object_with_both_tuples)
{
	static const struct ft_flow a = {.laddr = {[15] = 1},
					 .raddr = {[10] = 0xff, 0xff, 10, 0, 0, 9},
					 .lport = 80,
					 .rport = 40000};
	static const struct ft_flow b = {.laddr = {[10] = 0xff, 0xff, 127, 0, 0, 1},
					 .raddr = {[10] = 0xff, 0xff, 127, 0, 0, 1},
					 .lport = 50000,
					 .rport = 8080};
	struct ft_view_pair v = {.a = &a,
				 .b = &b,
				 .a_hop = "nlb",
				 .b_hop = "queue",
				 .a_id = 0xab01,
				 .b_id = 0xcd02,
				 .writes = 7,
				 .first_ns = 90 * S,
				 .last_ns = 100 * S,
				 .mono_ns = 100 * S,
				 .real_ns = 1795176000 * S};
	struct ft_buf out = {0};

	cr_assert_eq(ft_view_pair_json(&v, &out), 0);
	cr_expect_str_eq(ft_buf_text(&out),
			 "{\"id\":\"ab01-cd02\",\"a\":{\"hop\":\"nlb\",\"local\":\"[::1]:80\","
			 "\"remote\":\"10.0.0.9:40000\"},"
			 "\"b\":{\"hop\":\"queue\",\"local\":\"127.0.0.1:50000\",\"remote\":"
			 "\"127.0.0.1:8080\"},\"writes\":7,\"first\":\"2026-11-20T11:59:50.000Z\","
			 "\"last\":\"2026-11-20T12:00:00.000Z\"}");
	ft_buf_reset(&out);
	ft_view_pair_header(&out);
	ft_view_pair_text(&v, &out);
	golden_check("pairs.txt", ft_buf_text(&out));
	ft_buf_close(&out);
}
