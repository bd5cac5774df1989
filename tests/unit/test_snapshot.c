/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The arithmetic of counters, and the text form: what was written is read back, and nothing
 * that is out of range is read at all. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "snapshot.h"

Test(snapshot, active_is_preexisting_plus_opened_minus_closed)
{
	struct ft_hop_stats s = {.preexisting = 2, .opened = 10, .closed = {1, 2, 3, 4}};

	/* 2 + 10 - (1 + 2 + 3 + 4) */
	cr_assert_eq(ft_hop_closed(&s), 10);
	cr_assert_eq(ft_hop_active(&s), 2);
}

Test(snapshot, active_is_never_negative)
{
	struct ft_hop_stats s = {.opened = 1, .closed = {0, 3, 0, 0}};

	cr_assert_eq(ft_hop_active(&s), 0);
}

Test(snapshot, a_state_holds_what_went_in_minus_what_went_out)
{
	struct ft_hop_stats s = {0};

	s.transition[FT_UNSEEN][FT_ESTABLISHED] = 2;
	s.transition[FT_SYN_SENT][FT_ESTABLISHED] = 5;
	s.transition[FT_ESTABLISHED][FT_FIN_WAIT1] = 3;
	s.transition[FT_ESTABLISHED][FT_ESTABLISHED] = 9;     /* in and out: nothing */
	cr_assert_eq(ft_hop_in_state(&s, FT_ESTABLISHED), 4); /* 2 + 5 - 3 */
	cr_assert_eq(ft_hop_in_state(&s, FT_FIN_WAIT1), 3);
	cr_assert_eq(ft_hop_in_state(&s, FT_SYN_SENT), 0, "5 went out, none was seen to come");
	cr_assert_eq(ft_hop_in_state(&s, FT_NSTATES), 0);
	cr_assert_eq(ft_hop_in_state(&s, 1000000), 0);
}

/* --- text form --- */

static struct ft_snapshot one, two;

/* Something in every field, different from its neighbours. */
static void fill(struct ft_snapshot *s)
{
	memset(s, 0, sizeof(*s));
	*s = (struct ft_snapshot){
		.mono_ns = 11,
		.real_ns = 1795176000123456789,
		.start_ns = 3,
		.host = "web-1",
		.version = "0.1.0",
		.source = FT_SOURCE_SOCKOPS,
		.counting = 1,
		.max_flows = UINT32_MAX,
		.nhops = 2,
		.peers = {7, FT_PEERS_UNKNOWN},
		.totals = {.rescued = 5},
		.undiscovered = 6,
		.scan = {.number = 21,
			 .mono_ns = 22,
			 .duration_ns = 23,
			 .period_ns = 24,
			 .sockets = 25},
	};
	for (unsigned int i = 0; i < FT_NLOSS; i++)
		s->totals.loss[i] = 100 + i;
	for (unsigned int i = 0; i < FT_NPAIR_LOSS; i++)
		s->pair_loss.loss[i] = 200 + i;
	s->def[0] = (struct ft_hop_def){.name = "nlb", .port = "80", .from = -1};
	s->def[1] = (struct ft_hop_def){.name = "größe",
					.port = "127.0.0.1:8080",
					.process = "connqueue",
					.from = 0,
					.side = FT_CONNECT,
					.discovered = 1,
					.limit = 15,
					.keepalive_ms = 75000};
	for (unsigned int h = 0; h < 2; h++) {
		/* every number of the stats: they are all __u64 */
		__u64 *counter = &s->stats[h].transition[0][0];

		for (unsigned int i = 0; i < sizeof(s->stats[h]) / sizeof(*counter); i++)
			counter[i] = 1000 * h + i;
		counter = &s->found[h].flows; /* and of what a scan finds */
		for (unsigned int i = 0; i < sizeof(s->found[h]) / sizeof(*counter); i++)
			counter[i] = 3000 + 100 * h + i;
		counter = &s->pairs[h].exchanges; /* and of what pairing says */
		for (unsigned int i = 0; i < sizeof(s->pairs[h]) / sizeof(*counter); i++)
			counter[i] = 5000 + 100 * h + i;
		s->limits[h] = (struct ft_hop_limits){
			.drift = h ? -31 : 31,
			.ports_exhausted_ns = 32,
			.ports_used = 33,
			.ports_limit = 34,
			.files_used = 35,
			.files_limit = 36,
			.files_pid = 37,
			.repaired_opens = 38,
			.repaired_closes = 39,
		};
	}
}

static void read_back(const struct ft_snapshot *s, struct ft_snapshot *ret)
{
	char err[128] = "", *text = ft_snapshot_to_json(s);

	cr_assert_not_null(text);
	cr_assert_null(strchr(text, '\n'), "one object is one line of a recording");
	memset(ret, 0xff, sizeof(*ret));
	cr_assert_eq(ft_snapshot_from_json(text, ret, err, sizeof(err)), 0, "%s", err);
	free(text);
}

Test(snapshot, what_was_written_is_read_back)
{
	fill(&one);
	read_back(&one, &two);
	/* hops that are not there: a recording cannot say that their peers are unknown */
	cr_assert_eq(memcmp(&one, &two, offsetof(struct ft_snapshot, totals)), 0);
	cr_assert_eq(memcmp(&one.totals, &two.totals, sizeof(one.totals)), 0);
	cr_assert_eq(memcmp(&one.scan, &two.scan, sizeof(one.scan)), 0);
	cr_assert_eq(memcmp(&one.found, &two.found, sizeof(one.found)), 0);
	cr_assert_eq(memcmp(&one.limits, &two.limits, sizeof(one.limits)), 0);
	cr_assert_eq(memcmp(&one.pairs, &two.pairs, sizeof(one.pairs)), 0);
	cr_assert_eq(memcmp(&one.pair_loss, &two.pair_loss, sizeof(one.pair_loss)), 0);
	cr_assert_eq(two.undiscovered, 6);
}

Test(snapshot, sixty_four_hops_are_read_back)
{
	fill(&one);
	one.nhops = FT_MAX_HOPS;
	for (int i = 0; i < FT_MAX_HOPS; i++) {
		one.def[i] = one.def[1];
		snprintf(one.def[i].name, FT_NAME_LEN, "hop%d", i);
		one.def[i].from = i - 1;
	}
	read_back(&one, &two);
	cr_assert_eq(two.nhops, FT_MAX_HOPS);
	for (int i = 0; i < FT_MAX_HOPS; i++) {
		cr_expect_str_eq(two.def[i].name, one.def[i].name);
		cr_expect_eq(two.def[i].from, i - 1);
	}
}

Test(snapshot, zero_transitions_are_left_out_of_the_text)
{
	char *text;

	memset(&one, 0, sizeof(one));
	one.nhops = 1;
	strcpy(one.def[0].name, "nlb");
	one.stats[0].transition[FT_SYN_SENT][FT_ESTABLISHED] = 12;
	text = ft_snapshot_to_json(&one);
	cr_assert(strstr(text, "\"transitions\":[[2,1,12]]"), "%s", text);
	free(text);
}

Test(snapshot, what_a_signed_reader_could_not_hold_is_saturated)
{
	fill(&one);
	one.stats[0].opened = UINT64_MAX;
	one.totals.rescued = (uint64_t)INT64_MAX + 1;
	read_back(&one, &two);
	cr_assert_eq(two.stats[0].opened, INT64_MAX);
	cr_assert_eq(two.totals.rescued, INT64_MAX);
}

Test(snapshot, names_that_are_not_utf8_or_have_no_end_are_still_written)
{
	fill(&one);
	memset(one.def[0].name, 0xc3, FT_NAME_LEN); /* lead bytes, no NUL */
	memset(one.def[0].process, 'x', FT_COMM_LEN);
	read_back(&one, &two);
	/* 31 of 32 bytes: the last one is the terminator's */
	cr_assert_str_eq(two.def[0].name, "???????????????????????????????");
	cr_assert_str_eq(two.def[0].process, "xxxxxxxxxxxxxxx");
}

Test(snapshot, more_hops_than_there_can_be_are_not_written)
{
	char *text;

	fill(&one);
	one.nhops = UINT32_MAX;
	for (int i = 0; i < FT_MAX_HOPS; i++)
		snprintf(one.def[i].name, FT_NAME_LEN, "hop%d", i);
	text = ft_snapshot_to_json(&one);
	cr_assert_not_null(text);
	cr_assert(strstr(text, "\"hop63\""));
	free(text);
}

Test(snapshot, a_recording_that_knows_fewer_reasons_of_loss_is_read)
{
	char *text, *last, err[128] = "";

	fill(&one);
	text = ft_snapshot_to_json(&one);
	last = strstr(text, ",206]");
	cr_assert(last, "%s", text);
	memcpy(last, "]    ", 5);
	cr_assert_eq(ft_snapshot_from_json(text, &two, err, sizeof(err)), 0, "%s", err);
	cr_assert_eq(two.pair_loss.loss[FT_PAIR_LOSS_MISSED_CLOSE], 205);
	cr_assert_eq(two.pair_loss.loss[FT_PAIR_LOSS_SKIPPED], 0);
	free(text);
}

/* --- hostile text --- */

/* The storm's first line with `from` replaced by `to` is refused, and the error says `why`. */
static void refuse(const char *from, const char *to, const char *why)
{
	char err[128] = "", text[8192], *line = golden_read("data", "storm.snap");
	char *at = strstr(line, from);

	cr_assert(at && at < strchr(line, '\n'), "%s is not in the recording", from);
	*strchr(line, '\n') = '\0';
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - line), line, to, at + strlen(from));
	memset(&one, 0x5a, sizeof(one));
	two = one;
	cr_expect_eq(ft_snapshot_from_json(text, &one, err, sizeof(err)), -EINVAL, "%s", to);
	cr_expect(strstr(err, why), "%s -> %s: \"%s\" does not say \"%s\"", from, to, err, why);
	cr_expect_eq(memcmp(&one, &two, sizeof(one)), 0, "%s: written in spite of it", to);
	free(line);
}

Test(snapshot, what_is_out_of_range_is_refused_with_its_place)
{
	refuse("\"schema\":3", "\"schema\":2", "schema");
	refuse("\"mono_ns\":", "\"mono_ns\":-", "mono_ns");
	refuse("\"mono_ns\":", "\"mono_ns\":1,\"mono_ns\":", "duplicate");
	refuse("\"mono_ns\":", "\"mono_ns\":9999999999", "too big");
	refuse("\"max_flows\":262144", "\"max_flows\":4294967296", "4294967295");
	refuse("\"max_flows\":262144", "\"max_flows\":1.5", "max_flows");
	refuse("\"source\":\"tracepoint\"", "\"source\":\"magic\"", "source");
	refuse("\"counting\":true", "\"counting\":1", "counting");
	refuse("\"side\":\"accept\"", "\"side\":null", "hop 0: \"side\"");
	refuse("\"from\":0", "\"from\":5", "hop 1: \"from\""); /* 5 hops: 0..4 */
	refuse("\"from\":0", "\"from\":-2", "hop 1: \"from\"");
	refuse("\"from\":0", "\"from\":1.0", "hop 1: \"from\"");
	refuse("\"limit\":15", "\"limit\":-1", "hop 1: \"limit\"");
	refuse("\"peers\":2", "\"peers\":4294967295", "hop 0: \"peers\"");
	refuse("\"peers\":2", "\"peers\":\"2\"", "hop 0: \"peers\"");
}

Test(snapshot, names_must_be_there_fit_and_differ)
{
	refuse("\"name\":\"nlb\"", "\"name\":\"\"", "hop 0: \"name\"");
	refuse("\"name\":\"queue\"", "\"name\":\"nlb\"", "hop 1: \"name\": hop 0");
	refuse("\"name\":\"nlb\"", "\"name\":7", "hop 0: \"name\"");
	/* 32 letters: one more than fit */
	refuse("\"name\":\"nlb\"", "\"name\":\"abcdefghijklmnopqrstuvwxyzabcdef\"", "31 bytes");
	refuse("\"host\":\"web-1\"", "\"host\":\"a\\u0000b\"", "column");
	refuse("\"name\":\"nlb\"", "\"name\":\"\xc3\x28\"", "decode");
}

Test(snapshot, arrays_must_have_their_length_and_pairs_their_range)
{
	refuse("\"closed\":[3,", "\"closed\":[", "hop 0: \"closed\"");
	refuse("\"closed\":[3,", "\"closed\":[3,0,", "hop 0: \"closed\"");
	refuse("\"closed\":[3,", "\"closed\":[{},", "hop 0: \"closed\"");
	refuse("\"drift\":0", "\"drift\":null", "drift");
	refuse("\"keepalive_ms\":75000", "\"keepalive_ms\":-1", "keepalive_ms");
	refuse("\"scan\":{", "\"scan\":[{", "");
	refuse("\"scan\":{", "\"scans\":{", "scan");
	refuse("\"found\":[", "\"found\":[1,", "found");
	refuse("\"failed\":[0,0,0,0,0]", "\"failed\":{}", "hop 0: \"failed\"");
	refuse("\"transitions\":[[0,1,2]", "\"transitions\":[[0,12,2]", "hop 0: \"transitions\"");
	refuse("\"transitions\":[[0,1,2]", "\"transitions\":[[-1,1,2]", "hop 0: \"transitions\"");
	refuse("\"transitions\":[[0,1,2]", "\"transitions\":[[0,1]", "hop 0: \"transitions\"");
	refuse("\"transitions\":[[0,1,2]", "\"transitions\":[7", "hop 0: \"transitions\"");
	refuse("\"transitions\":[[0,1,2]", "\"transitions\":[[0,1,2],[0,1,2]", "twice");
}

Test(snapshot, losses_must_have_known_names)
{
	refuse("\"loss\":{}", "\"loss\":[]", "loss");
	refuse("\"loss\":{}", "\"loss\":{\"busi\":1}", "busi");
	refuse("\"loss\":{}", "\"loss\":{\"busy\":-1}", "busy");
}

Test(snapshot, a_wrong_shape_is_refused)
{
	const char *const text[] = {
		"", "null", "[]", "7", "{", "{}", "{\"schema\":3}", "{\"schema\":3,\"schema\":3}",
	};
	char err[128];

	for (unsigned int i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		err[0] = '\0';
		cr_expect_eq(ft_snapshot_from_json(text[i], &one, err, sizeof(err)), -EINVAL);
		cr_expect(err[0], "no reason for '%s'", text[i]);
	}
	refuse("\"hops\":[{", "\"hops\":[null,{", "hop 0");
	refuse("\"totals\":{", "\"totals\":null,\"x\":{", "loss");
}

Test(snapshot, sixty_five_hops_are_refused)
{
	static char hops[65 * 3 + 16];

	strcpy(hops, "\"hops\":[");
	for (int i = 0; i < 64; i++) /* and the five of the storm: 69 */
		strcat(hops, "{},");
	refuse("\"hops\":[", hops, "at most 64");
}

Test(snapshot, any_prefix_of_a_recording_is_refused_without_harm)
{
	char err[16], *line = golden_read("data", "storm.snap");

	*strchr(line, '\n') = '\0';
	for (size_t len = strlen(line) - 1; len > 0; len--) {
		line[len] = '\0';
		cr_assert_eq(ft_snapshot_from_json(line, &one, err, sizeof(err)), -EINVAL);
		cr_assert_lt(strlen(err), sizeof(err));
	}
	cr_assert_eq(ft_snapshot_from_json(line, &one, NULL, 0), -EINVAL, "err may have no room");
	free(line);
}

/* --- text from outside --- */

static void check_utf8(const char *text, size_t max, size_t size, const char *want)
{
	char ret[64];

	ft_text_utf8(text, max, ret, size);
	cr_expect_str_eq(ret, want);
}

Test(snapshot, bytes_that_are_not_utf8_become_question_marks)
{
	check_utf8("größe →", 63, 64, "größe →");
	check_utf8("a\xff"
		   "b",
		   63, 64, "a?b");
	check_utf8("\xc0\xaf", 63, 64, "??");		/* overlong '/' */
	check_utf8("\xed\xa0\x80", 63, 64, "???");	/* surrogate */
	check_utf8("\xf4\x90\x80\x80", 63, 64, "????"); /* beyond U+10FFFF */
	check_utf8("\xf8\x88\x80\x80\x80", 63, 64, "?????");
	check_utf8("\xe2\x86", 63, 64, "??"); /* cut off */
	check_utf8("\xf0\x9f\x90\xa2", 63, 64, "\xf0\x9f\x90\xa2");
}

Test(snapshot, text_is_cut_between_characters)
{
	check_utf8("a→b", 3, 64, "a??"); /* max ends inside the arrow's three bytes */
	check_utf8("a→b", 63, 4, "a");	 /* room for 3 bytes: the arrow does not fit */
	check_utf8("a→b", 63, 5, "a→");
	check_utf8("abc", 63, 1, "");
}

Test(snapshot, ascii_text_has_no_control_bytes)
{
	char ret[16];

	ft_text_ascii("a\x1b[1m\x7fö", 99, ret, sizeof(ret));
	cr_assert_str_eq(ret, "a?[1m???"); /* ESC, DEL and two bytes of ö */
	ft_text_ascii("abcdef", 3, ret, sizeof(ret));
	cr_assert_str_eq(ret, "abc");
	ft_text_ascii("abcdef", 99, ret, 4);
	cr_assert_str_eq(ret, "abc");
}
