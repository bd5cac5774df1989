/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One flow's JSON and line, and the time format that everything uses. */
#include <criterion/criterion.h>
#include <string.h>

#include "golden.h"
#include "view.h"

#define S    1000000000ULL
#define NOON (1795176000ULL * S) /* 2026-11-20T12:00:00Z */

/* 127.0.0.1:40000 -> 127.0.0.1:8080, opened 90.5 s ago: SYN_SENT, ESTABLISHED, CLOSE_WAIT */
static const struct ft_flow open_flow = {
	.laddr = {[10] = 0xff, 0xff, 127, 0, 0, 1},
	.raddr = {[10] = 0xff, 0xff, 127, 0, 0, 1},
	.lport = 40000,
	.rport = 8080,
	.state = FT_CLOSE_WAIT,
	.flags = FT_FLOW_OPEN | FT_FLOW_CONNECT,
	.opened_ns = 100 * S,
	.path = FT_SYN_SENT << 8 | FT_ESTABLISHED << 4 | FT_CLOSE_WAIT,
	.netns = 4026531840,
};
static const struct ft_sock_row sock_row = {.idle_ns = 2500000000, .unread_bytes = 512};

static struct ft_view_flow view_of(const struct ft_flow *flow)
{
	return (struct ft_view_flow){
		.flow = flow,
		.row = &sock_row,
		.hop = "queue",
		.process = "connqueue",
		.pid = 4711,
		.mono_ns = 190 * S + S / 2,
		.real_ns = NOON,
	};
}

static void check_json(const struct ft_view_flow *f, const char *want)
{
	struct ft_buf out = {0};

	cr_assert_eq(ft_view_flow_json(f, &out), 0);
	cr_expect_str_eq(ft_buf_text(&out), want);
	ft_buf_close(&out);
}

Test(view_flow, an_open_flow_says_everything)
{
	struct ft_view_flow f = view_of(&open_flow);

	/* opened at noon - 90.5 s */
	check_json(&f, "{\"hop\":\"queue\",\"state\":\"CLOSE_WAIT\",\"local\":\"127.0.0.1:40000\","
		       "\"remote\":\"127.0.0.1:8080\",\"opened\":\"2026-11-20T11:58:29.500Z\","
		       "\"age_seconds\":90.5,\"idle_seconds\":2.5,\"process\":\"connqueue\","
		       "\"pid\":4711,\"netns\":4026531840,"
		       "\"transitions\":[\"SYN_SENT\",\"ESTABLISHED\",\"CLOSE_WAIT\"],"
		       "\"unread_bytes\":512,\"stale\":false,\"pairs\":null,\"exchanges\":null}");
}

Test(view_flow, a_paired_flow_names_its_pairs_and_counts_its_exchanges)
{
	static const uint64_t pair[2][2] = {{0xab01, 0xcd02}, {0xab01, 0xef02}};
	struct ft_view_flow f = view_of(&open_flow);
	uint32_t exchanges = UINT32_MAX;
	struct ft_buf out = {0};

	f.pair = pair;
	f.npairs = 2;
	f.exchanges = &exchanges;
	cr_assert_eq(ft_view_flow_json(&f, &out), 0);
	ft_buf_printf(&out, "\n");
	f.npairs = exchanges = 0;
	cr_assert_eq(ft_view_flow_json(&f, &out), 0);
	ft_buf_printf(&out, "\n");
	golden_check("flows_paired.txt", ft_buf_text(&out));
	ft_buf_close(&out);
}

Test(view_flow, a_preexisting_flow_has_no_age)
{
	struct ft_flow flow = open_flow;
	struct ft_view_flow f = view_of(&flow);

	flow.flags |= FT_FLOW_PREEXISTING;
	flow.path = FT_ESTABLISHED;
	flow.netns = 0;
	f.row = NULL;
	f.process = "";
	f.pid = 0;
	check_json(&f, "{\"hop\":\"queue\",\"state\":\"CLOSE_WAIT\",\"local\":\"127.0.0.1:40000\","
		       "\"remote\":\"127.0.0.1:8080\",\"opened\":null,\"age_seconds\":null,"
		       "\"idle_seconds\":null,\"process\":null,\"pid\":null,\"netns\":null,"
		       "\"transitions\":[\"ESTABLISHED\"],\"unread_bytes\":null,\"stale\":null,"
		       "\"pairs\":null,\"exchanges\":null}");
}

Test(view_flow, a_connect_in_flight_has_local_port_0_and_never_opened)
{
	struct ft_flow flow = {.rport = 80, .state = FT_SYN_SENT, .path = FT_SYN_SENT};
	struct ft_view_flow f = view_of(&flow);

	flow.raddr[15] = 1;
	f.process = NULL;
	check_json(&f, "{\"hop\":\"queue\",\"state\":\"SYN_SENT\",\"local\":\"[::]:0\","
		       "\"remote\":\"[::1]:80\",\"opened\":null,\"age_seconds\":null,"
		       "\"idle_seconds\":2.5,\"process\":null,\"pid\":4711,\"netns\":null,"
		       "\"transitions\":[\"SYN_SENT\"],\"unread_bytes\":512,\"stale\":false,"
		       "\"pairs\":null,\"exchanges\":null}");
}

static bool json_has(const struct ft_flow *flow, const char *part)
{
	struct ft_view_flow f = view_of(flow);
	struct ft_buf out = {0};
	bool found;

	cr_assert_eq(ft_view_flow_json(&f, &out), 0);
	found = strstr(ft_buf_text(&out), part);
	ft_buf_close(&out);
	return found;
}

Test(view_flow, a_path_ends_at_its_first_zero_and_may_fill_all_eight_places)
{
	struct ft_flow flow = open_flow;

	flow.path = 0;
	cr_expect(json_has(&flow, "\"transitions\":[]"));
	/* the zero above ESTABLISHED hides what is older */
	flow.path = FT_SYN_SENT << 8 | FT_ESTABLISHED;
	cr_expect(json_has(&flow, "\"transitions\":[\"ESTABLISHED\"]"));
	flow.path = 0x21111118; /* SYN_SENT, 6 times ESTABLISHED, CLOSE_WAIT */
	cr_expect(json_has(&flow, "[\"SYN_SENT\",\"ESTABLISHED\","));
	cr_expect(json_has(&flow, "\"ESTABLISHED\",\"CLOSE_WAIT\"]"));
	flow.path = 0xf; /* no state has this number */
	cr_expect(json_has(&flow, "\"transitions\":[\"?\"]"));
}

Test(view_flow, a_flow_that_opened_after_the_clock_was_read_is_0_old)
{
	struct ft_flow flow = open_flow;

	flow.opened_ns = 200 * S;
	cr_expect(json_has(&flow, "\"opened\":\"2026-11-20T12:00:00.000Z\",\"age_seconds\":0.0"));
}

Test(view_flow, names_that_are_not_utf8_do_not_fail)
{
	struct ft_view_flow f = view_of(&open_flow);
	struct ft_buf out = {0};

	f.process = "\xff\x1b";
	cr_assert_eq(ft_view_flow_json(&f, &out), 0);
	cr_expect(strstr(ft_buf_text(&out), "\"process\":\"?\\u001B\""));
	ft_buf_reset(&out);
	ft_view_flow_text(&f, &out);
	cr_expect(strstr(ft_buf_text(&out), "  ??  "));
	ft_buf_close(&out);
}

Test(view_flow, lines_stand_below_their_header)
{
	struct ft_flow old = open_flow, longest = open_flow;
	struct ft_view_flow f = view_of(&open_flow), g = view_of(&old), h = view_of(&longest);
	struct ft_buf out = {0};

	old.flags |= FT_FLOW_PREEXISTING;
	old.path = 0;
	g.row = NULL;
	g.process = "";
	g.pid = 0;
	memset(longest.laddr, 0xfd, 16);
	memset(longest.raddr, 0xfd, 16);
	longest.path = 0x99999999;
	h.hop = "a-name-of-thirty-one-characters";
	ft_view_flow_header(&out);
	ft_view_flow_text(&f, &out);
	ft_view_flow_text(&g, &out);
	ft_view_flow_text(&h, &out);
	cr_assert_eq(ft_buf_error(&out), 0);
	golden_check("flows.txt", ft_buf_text(&out));
	ft_buf_close(&out);
}

/* --- time --- */

static void check_time(uint64_t seconds, uint64_t ns, const char *want)
{
	char text[32];

	ft_time_format(seconds * S + ns, text);
	cr_expect_str_eq(text, want);
}

Test(view_flow, times_are_rfc_3339_in_utc)
{
	/* seconds as `date -u -d TIME +%s` says */
	check_time(0, 0, "1970-01-01T00:00:00.000Z");
	check_time(951782399, 999999999, "2000-02-28T23:59:59.999Z");
	check_time(951782400, 0, "2000-02-29T00:00:00.000Z");
	check_time(951868800, 0, "2000-03-01T00:00:00.000Z");
	check_time(1795176000, 1000000, "2026-11-20T12:00:00.001Z");
	check_time(1798761599, 0, "2026-12-31T23:59:59.000Z");
	check_time(4107542400, 0, "2100-03-01T00:00:00.000Z");		/* 2100 has no leap day */
	check_time(18446744073, 709551615, "2554-07-21T23:34:33.709Z"); /* 2^64 - 1 ns */
}
