/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What follows from a scan: drift and its repair, ports, exhaustion; the sentence about places;
 * the lists. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "golden.h"
#include "scanned.h"
#include "view.h"

/* --- drift --- */

/* Counters with so many flows opened and ended by now. */
static struct ft_hop_stats stats_of(uint64_t opened, uint64_t closed)
{
	return (struct ft_hop_stats){.opened = opened, .closed = {[FT_CLOSED_LOCAL] = closed}};
}

static int64_t drift(struct ft_hop_stats before, struct ft_hop_stats after, uint64_t flows,
		     uint64_t found)
{
	struct ft_hop_scan met = {.flows = flows, .found = found};

	return ft_scanned_drift(&before, &after, &met);
}

Test(scanned, a_quiet_hop_drifts_by_what_the_walk_did_not_meet)
{
	struct ft_hop_stats s = stats_of(10, 4); /* 6 active */

	cr_expect_eq(drift(s, s, 6, 0), 0);
	cr_expect_eq(drift(s, s, 5, 0), 1);
	cr_expect_eq(drift(s, s, 8, 0), -2);
	cr_expect_eq(drift(stats_of(0, 0), stats_of(0, 0), 0, 0), 0);
}

Test(scanned, what_came_and_went_during_the_walk_is_no_drift)
{
	/* 6 before; 3 came and 2 went: it may have met 4..9 */
	struct ft_hop_stats before = stats_of(10, 4), after = stats_of(13, 6);

	for (uint64_t met = 4; met <= 9; met++)
		cr_expect_eq(drift(before, after, met, 0), 0);
	cr_expect_eq(drift(before, after, 3, 0), 1);
	cr_expect_eq(drift(before, after, 10, 0), -1);
}

Test(scanned, what_the_walk_itself_counted_does_not_excuse_it)
{
	/* nothing was counted; the walk found one open and counted it */
	cr_expect_eq(drift(stats_of(0, 0), stats_of(1, 0), 1, 1), -1);
	/* one was counted, but had no entry: now it is counted twice, seen by the next walk */
	cr_expect_eq(drift(stats_of(1, 0), stats_of(2, 0), 1, 1), 0);
	cr_expect_eq(drift(stats_of(2, 0), stats_of(2, 0), 1, 0), 1);
}

Test(scanned, only_what_two_scans_agree_on_is_repaired)
{
	struct ft_hop_limits l = {0};

	cr_expect_eq(ft_scanned_repair(0, 3, &l), 3);
	cr_expect_eq(ft_scanned_repair(3, -1, &l), -1);
	cr_expect_eq(ft_scanned_repair(-1, 0, &l), 0);
	cr_expect_eq(l.repaired_closes + l.repaired_opens, 0);
	cr_expect_eq(ft_scanned_repair(3, 5, &l), 2);
	cr_expect_eq(l.repaired_closes, 3);
	cr_expect_eq(ft_scanned_repair(-4, -2, &l), 0);
	cr_expect_eq(l.repaired_opens, 2);
}

/* --- ports --- */

Test(scanned, ports_are_the_range_without_what_is_reserved)
{
	cr_expect_eq(ft_scanned_ports("32768\t60999\n", "\n"), 28232);
	cr_expect_eq(ft_scanned_ports("1024 65000", "3000,8080-8081,19100,20000-20010\n"),
		     /* 63977 is odd: 63976; 1 + 2 + 1 + 11 reserved */ 63976 - 15);
	cr_expect_eq(ft_scanned_ports("40000 40063", ""), 64);
	cr_expect_eq(ft_scanned_ports("40000 40063", "39990-40009,40060-41000"), 64 - 10 - 4);
	cr_expect_eq(ft_scanned_ports("40000 40000", ""), 1);
	cr_expect_eq(ft_scanned_ports("40000 40002", "40002"), 2); /* the last is never taken */
	cr_expect_eq(ft_scanned_ports("", ""), 0);
	cr_expect_eq(ft_scanned_ports("5 4", ""), 0);
	cr_expect_eq(ft_scanned_ports("1 70000", ""), 0);
}

Test(scanned, ports_run_out_at_the_rate_of_the_last_two_scans)
{
	struct ft_ports_used u = {
		.used = 30, .used_before = 20, .mono_ns = 15, .mono_ns_before = 10};

	/* 10 more in 5 ns, 34 left: 17 ns, and 1 so that it is not 0 */
	cr_expect_eq(ft_scanned_exhausted_ns(&u, 64), 18);
	cr_expect_eq(ft_scanned_exhausted_ns(&u, 0), 0, "the limit is not known");
	cr_expect_eq(ft_scanned_exhausted_ns(&u, 30), 1, "now");
	u.used_before = 30;
	cr_expect_eq(ft_scanned_exhausted_ns(&u, 64), 0, "it does not grow");
	u.used_before = 31;
	cr_expect_eq(ft_scanned_exhausted_ns(&u, 64), 0, "it shrinks");
	u.used_before = 20;
	u.mono_ns_before = 0;
	cr_expect_eq(ft_scanned_exhausted_ns(&u, 64), 0, "one scan has no rate");
}

Test(scanned, counters_of_netstat_are_found_by_name)
{
	static const char text[] = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\n"
				   "TcpExt: 3 4 18446744073709551615\n"
				   "IpExt: InNoRoutes ListenDrops\nIpExt: 1 2\n";
	uint64_t n = 99;

	cr_expect(ft_scanned_netstat(text, "SyncookiesSent", &n));
	cr_expect_eq(n, 3);
	cr_expect(ft_scanned_netstat(text, "ListenOverflows", &n));
	cr_expect_eq(n, 4);
	cr_expect(ft_scanned_netstat(text, "ListenDrops", &n));
	cr_expect_eq(n, UINT64_MAX);
	n = 99;
	cr_expect_not(ft_scanned_netstat(text, "Listen", &n), "no prefix");
	cr_expect_not(ft_scanned_netstat(text, "InNoRoutes", &n), "another line");
	cr_expect_not(ft_scanned_netstat("TcpExt: A B\nTcpExt: 1\n", "B", &n), "cut off");
	cr_expect_not(ft_scanned_netstat("", "A", &n));
	cr_expect_eq(n, 99);
}

/* --- places --- */

static struct ft_snapshot now;
static struct ft_history none;
static struct ft_report rep;

/* A queue of 15 places: connections come in at hop 0, go on from hop 1. */
static void outage(void)
{
	memset(&now, 0, sizeof(now));
	now.nhops = 2;
	now.mono_ns = 1000000000;
	now.scan = (struct ft_scan){.number = 1, .mono_ns = 1};
	now.def[0] = (struct ft_hop_def){.name = "nlb", .port = "80", .from = -1};
	now.def[1] = (struct ft_hop_def){.name = "queue",
					 .port = "127.0.0.1:8080",
					 .side = FT_CONNECT,
					 .limit = 15,
					 .keepalive_ms = 75000};
	now.stats[0].opened = 100;
	now.stats[1].opened = 15;
	now.found[0] = (struct ft_hop_scan){.flows = 100,
					    .held = 85,
					    .held_idle = 85,
					    .held_oldest_ns = 40400000000,
					    .idle = {0, 100}};
	now.found[1] = (struct ft_hop_scan){
		.flows = 15, .idle = {0, 5, 10}, .idle_oldest_ns = 41600000000};
	ft_model_build(&now, &none, &rep);
}

Test(scanned, the_outage_is_one_line)
{
	char text[FT_TEXT_LEN];

	outage();
	cr_expect_eq(rep.hop[1].places.used, 15);
	cr_expect_eq(rep.hop[1].places.idle, 15);
	cr_expect_float_eq(rep.hop[1].places.drain_per_second, 0.2, 1e-9); /* 15 / 75 s */
	cr_expect_eq(rep.hop[1].places.held, 85);
	cr_expect_eq(rep.hop[0].held_check, 85); /* 100 - 15 */
	cr_expect_eq(rep.hop[1].held_check, -1);
	ft_report_places_line(&rep, 1, text, sizeof(text));
	cr_expect_str_eq(text, "queue: 15/15 places, 15 idle (longest 42s) free 0.2/s; nlb holds "
			       "85, oldest 40s");
	ft_report_places_line(&rep, 0, text, sizeof(text));
	cr_expect_str_eq(text, "", "no limit, nothing to say");
}

Test(scanned, places_of_an_accept_hop_are_what_is_not_held)
{
	char text[FT_TEXT_LEN];

	outage();
	now.def[0].limit = 20;
	now.def[0].keepalive_ms = 10000;
	ft_model_build(&now, &none, &rep);
	cr_expect_eq(rep.hop[0].places.used, 15); /* 100 - 85 */
	cr_expect_eq(rep.hop[0].places.idle, 15); /* 100 idle, 85 of them held */
	cr_expect_float_eq(rep.hop[0].places.drain_per_second, 1.5, 1e-9);
	ft_report_places_line(&rep, 0, text, sizeof(text));
	cr_expect_str_eq(text, "nlb: 15/20 places, 15 idle (longest 0s) free 1.5/s; nlb holds 85, "
			       "oldest 40s");
}

Test(scanned, busy_places_free_nothing_by_themselves)
{
	char text[FT_TEXT_LEN];

	outage();
	now.found[1].idle[0] = 15;
	now.found[1].idle[1] = now.found[1].idle[2] = 0;
	now.found[0].held = 0;
	ft_model_build(&now, &none, &rep);
	cr_expect(isnan(rep.hop[1].places.drain_per_second));
	ft_report_places_line(&rep, 1, text, sizeof(text));
	cr_expect_str_eq(text, "queue: 15/15 places");
	now.scan.number = 0;
	ft_model_build(&now, &none, &rep);
	ft_report_places_line(&rep, 1, text, sizeof(text));
	cr_expect_str_eq(text, "", "no scan yet");
}

Test(scanned, two_hops_with_places_behind_one_have_no_simple_difference)
{
	outage();
	now.nhops = 3;
	now.def[2] = now.def[1];
	now.def[2].name[0] = 'z';
	ft_model_build(&now, &none, &rep);
	cr_expect_eq(rep.hop[0].held_check, -1);
}

Test(scanned, a_short_buffer_cuts_the_line_and_nothing_else)
{
	char text[20];

	outage();
	memset(text, 'x', sizeof(text));
	ft_report_places_line(&rep, 1, text, 16);
	cr_expect_str_eq(text, "queue: 15/15 pl");
	cr_expect_eq(text[16], 'x');
}

/* --- lists --- */

static const struct ft_listener listener = {
	.addr = {[10] = 0xff, 0xff, 10, 0, 0, 1},
	.netns = 4026531840,
	.port = 80,
	.backlog = 7,
	.backlog_limit = 511,
	.syn_backlog = 3,
};
static const struct ft_ports_key key = {
	.laddr = {[10] = 0xff, 0xff, 10, 0, 0, 1},
	.raddr = {[15] = 1},
	.netns = 4026531840,
	.rport = 3306,
};
static const struct ft_ports_used used = {.used = 50, .time_wait = 20};

Test(scanned, a_listener_is_an_object_and_a_line)
{
	struct ft_view_listener v = {&listener, "nlb", "conn\"queue", 42};
	struct ft_buf out = {0};

	cr_assert_eq(ft_view_listener_json(&v, &out), 0);
	cr_expect_str_eq(ft_buf_text(&out),
			 "{\"hop\":\"nlb\",\"local\":\"10.0.0.1:80\",\"netns\":4026531840,"
			 "\"process\":\"conn\\\"queue\",\"pid\":42,\"backlog\":7,"
			 "\"backlog_limit\":511,\"syn_backlog\":3}");
	ft_buf_reset(&out);
	v = (struct ft_view_listener){&listener, NULL, "", 0};
	cr_assert_eq(ft_view_listener_json(&v, &out), 0);
	cr_expect(strstr(ft_buf_text(&out), "\"hop\":null"));
	cr_expect(strstr(ft_buf_text(&out), "\"process\":null,\"pid\":null"));
	ft_buf_reset(&out);
	ft_view_listener_header(&out);
	ft_view_listener_text(&v, &out);
	ft_view_space_text(4026531840, &(struct ft_space){.listen_overflows = 5}, &out);
	golden_check("listeners.txt", ft_buf_text(&out));
	ft_buf_close(&out);
}

Test(scanned, the_limit_of_open_files_is_the_soft_one)
{
	/* /proc/PID/limits of Linux 6.1, shortened */
	static const char text[] =
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max processes             63448                63448                processes \n"
		"Max open files            1024                 524288               files     \n"
		"Max locked memory         8388608              8388608              bytes     \n";

	cr_expect_eq(ft_scanned_files(text), 1024);
	cr_expect_eq(ft_scanned_files("Max open files            unlimited            unlimited"),
		     UINT32_MAX);
	cr_expect_eq(ft_scanned_files("Max open files            4294967296           4294967296"),
		     UINT32_MAX);
	cr_expect_eq(ft_scanned_files(""), 0);
	cr_expect_eq(ft_scanned_files("Max open files"), 0);
}

Test(scanned, a_destination_is_an_object_and_a_line)
{
	struct ft_view_ports v = {&key, &used, "mysql", 64, 2500000000};
	struct ft_buf out = {0};

	cr_assert_eq(ft_view_ports_json(&v, &out), 0);
	cr_expect_str_eq(ft_buf_text(&out),
			 "{\"hop\":\"mysql\",\"local\":\"10.0.0.1\",\"remote\":\"[::1]:3306\","
			 "\"netns\":4026531840,\"used\":50,\"time_wait\":20,\"limit\":64,"
			 "\"exhausted_in_seconds\":2.5}");
	ft_buf_reset(&out);
	v.limit = 0;
	v.exhausted_ns = 0;
	cr_assert_eq(ft_view_ports_json(&v, &out), 0);
	cr_expect(strstr(ft_buf_text(&out), "\"limit\":null,\"exhausted_in_seconds\":null"));
	ft_buf_reset(&out);
	ft_view_ports_header(&out);
	ft_view_ports_text(&v, &out);
	golden_check("ports.txt", ft_buf_text(&out));
	ft_buf_close(&out);
}

Test(scanned, lists_are_json_whatever_the_host_is_called)
{
	struct ft_buf out = {0};
	json_t *root;

	outage();
	snprintf(rep.host, sizeof(rep.host), "a\"b\\c\n");
	ft_view_list_begin(&rep, "ports", &out);
	ft_buf_printf(&out, "]}");
	root = json_loads(ft_buf_text(&out), 0, NULL);
	cr_assert_not_null(root);
	cr_expect_str_eq(json_string_value(json_object_get(root, "host")), "abc");
	cr_expect(json_is_array(json_object_get(root, "ports")));
	json_decref(root);
	ft_buf_close(&out);
}
