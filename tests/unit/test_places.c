/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A new configuration over counters that go on: every hop keeps its place. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "model.h"

static struct ft_config old, new;
static struct ft_hop_def def[FT_MAX_HOPS];
static struct ft_rules rules;
static struct ft_snapshot snap;
static struct ft_history hist;
static struct ft_report rep;

static void read_config(const char *hops, struct ft_config *ret)
{
	struct ft_buf errors = {0};
	char text[4096];

	snprintf(text, sizeof(text), "hops = ( %s );", hops);
	cr_assert_eq(ft_config_parse(text, "f", ret, &errors), 0, "%s", ft_buf_text(&errors));
	ft_buf_close(&errors);
}

/* What the kernel counts after `from`, and then `to`. */
static void reload(const char *from, const char *to)
{
	read_config(from, &old);
	cr_assert_eq(ft_config_compile(&old, def, &rules), 0);
	read_config(to, &new);
	cr_assert_eq(ft_config_keep_places(&new, def, old.nhops), 0);
	cr_assert_eq(ft_config_compile(&new, def, &rules), 0);
}

#define A "{ name = \"a\"; accept = \"80\"; }"
#define B "{ name = \"b\"; connect = \"3000\"; from = \"a\"; }"
#define C "{ name = \"c\"; accept = \"80-90\"; }"

Test(places, another_order_changes_the_rules_and_no_place)
{
	reload(A ", " B ", " C, C ", " B ", " A);
	cr_assert_eq(new.nhops, 3);
	cr_assert_str_eq(def[0].name, "a");
	cr_assert_str_eq(def[1].name, "b");
	cr_assert_eq(def[1].from, 0);
	cr_assert_str_eq(def[2].name, "c");
	cr_assert_eq(rules.count, 3);
	cr_assert_eq(rules.rule[0].hop, 2, "the file's order is the order of the rules");
	cr_assert_eq(rules.rule[1].hop, 1);
	cr_assert_eq(rules.rule[2].hop, 0);
}

Test(places, who_is_not_named_retires_and_a_new_one_comes_behind)
{
	reload(A ", " B ", " C, "{ name = \"n\"; accept = \"1\"; }, " C);
	cr_assert_eq(new.nhops, 4);
	cr_assert(new.hop[0].retired &&new.hop[1].retired && !new.hop[2].retired);
	cr_assert_eq(def[0].retired, 1);
	cr_assert_eq(def[1].retired, 1);
	cr_assert_eq(def[1].from, -1, "what retired is no part of the tree");
	cr_assert_str_eq(def[3].name, "n");
	cr_assert_eq(def[3].retired, 0);
	cr_assert_eq(rules.count, 2, "what retired has no rules");
	cr_assert_eq(rules.rule[0].hop, 3);
	cr_assert_eq(rules.rule[1].hop, 2);
}

Test(places, who_comes_back_gets_its_place_again)
{
	reload(A ", " C, C);
	read_config(C ", " A, &new);
	cr_assert_eq(ft_config_keep_places(&new, def, 2), 0);
	cr_assert_eq(new.nhops, 2);
	cr_assert_str_eq(new.hop[0].name, "a");
	cr_assert(!new.hop[0].retired);
	cr_assert_eq(new.hop[0].nendpoints, 1);
}

Test(places, the_same_name_on_the_other_side_is_another_hop)
{
	reload(A, "{ name = \"a\"; connect = \"80\"; }");
	cr_assert_eq(new.nhops, 2);
	cr_assert(new.hop[0].retired);
	cr_assert_eq(def[0].side, FT_ACCEPT);
	cr_assert_eq(def[1].side, FT_CONNECT);
	cr_assert_eq(rules.rule[0].hop, 1);
}

Test(places, a_hop_works_for_the_one_in_force_not_for_its_retired_namesake)
{
	reload(A ", " B, "{ name = \"a\"; connect = \"80\"; }, "
			 "{ name = \"b\"; connect = \"3000\"; from = \"a\"; }");
	cr_assert_eq(def[1].from, 2);
}

Test(places, when_all_are_used_up_nothing_changes)
{
	for (int i = 0; i < FT_MAX_HOPS; i++)
		snprintf(def[i].name, FT_NAME_LEN, "h%d", i);
	read_config(A, &new);
	old = new;
	cr_assert_eq(ft_config_keep_places(&new, def, FT_MAX_HOPS), -E2BIG);
	cr_assert_eq(memcmp(&new, &old, sizeof(new)), 0);
	cr_assert_eq(ft_config_keep_places(&new, def, FT_MAX_HOPS - 1), 0);
	cr_assert_eq(new.nhops, FT_MAX_HOPS);
	cr_assert_str_eq(new.hop[FT_MAX_HOPS - 1].name, "a");
}

Test(places, dropping_the_retired_leaves_the_others_in_order)
{
	reload(A ", " B ", " C, A ", " C);
	ft_config_drop_retired(&new);
	cr_assert_eq(new.nhops, 2);
	cr_assert_str_eq(new.hop[0].name, "a");
	cr_assert_str_eq(new.hop[1].name, "c");
}

Test(places, a_new_address_makes_hops_different)
{
	read_config(A ", " B, &old);
	read_config(A ", " B, &new);
	cr_assert(ft_config_same_hops(&old, &new));
	new.hop[0].endpoint[new.hop[0].nendpoints++] = new.hop[1].endpoint[0];
	cr_assert_not(ft_config_same_hops(&old, &new));
	read_config(A, &new);
	cr_assert_not(ft_config_same_hops(&old, &new));
	read_config(A ", { name = \"b\"; connect = \"3000\"; }", &new);
	cr_assert_not(ft_config_same_hops(&old, &new), "from");
	read_config(A ", { name = \"b\"; connect = \"3001\"; from = \"a\"; }", &new);
	cr_assert_not(ft_config_same_hops(&old, &new), "port");
}

/* Places 0 retired, 1 a, 2 b that works for a; only the last two are to be seen. */
static void retired_snapshot(void)
{
	memset(&snap, 0, sizeof(snap));
	snap.nhops = 3;
	snap.mono_ns = 2000000000;
	strcpy(snap.def[0].name, "gone");
	strcpy(snap.def[1].name, "a");
	strcpy(snap.def[2].name, "b");
	snap.def[0].from = snap.def[1].from = -1;
	snap.def[2].from = 1;
	snap.def[0].retired = 1;
	snap.scan.number = 1;
	for (int i = 0; i < 3; i++) {
		snap.stats[i].opened = 10 << i;
		snap.found[i].time_wait = 100 + i;
	}
}

Test(places, a_report_has_no_retired_hop_and_the_others_keep_their_numbers)
{
	retired_snapshot();
	snap.mono_ns = 1000000000;
	ft_history_add(&hist, &snap);
	snap.mono_ns = 2000000000;
	snap.stats[1].opened += 5;
	snap.stats[2].opened += 15;
	ft_model_build(&snap, &hist, &rep);
	cr_assert_eq(rep.nhops, 2);
	cr_assert_str_eq(rep.hop[0].name, "a");
	cr_assert_eq(rep.hop[0].place, 1);
	cr_assert_eq(rep.hop[0].opened, 25);
	cr_assert_eq(rep.hop[1].state[FT_TIME_WAIT], 102);
	cr_assert_eq(rep.hop[1].rate[FT_1S], 15);
	cr_assert_eq(rep.nedges, 1);
	cr_assert_eq(rep.edge[0].from, 0);
	cr_assert_eq(rep.edge[0].to, 1);
	cr_assert_eq(rep.edge[0].flow[FT_1S], 3);
	cr_assert_null(ft_report_hop_at(&rep, 0));
	cr_assert_eq(ft_report_hop_at(&rep, 2), &rep.hop[1]);
	cr_assert_null(ft_report_hop_at(&rep, 3));
	cr_assert_null(ft_report_hop_at(&rep, -1));
}

Test(places, a_hop_of_a_retired_one_is_a_root)
{
	retired_snapshot();
	snap.def[1].from = 0;
	ft_model_build(&snap, &hist, &rep);
	cr_assert_eq(rep.hop[0].from, -1);
	cr_assert_eq(rep.hop[0].depth, 0);
	cr_assert_eq(rep.hop[1].depth, 1);
}

Test(places, a_recording_keeps_the_places)
{
	static struct ft_snapshot back;
	char err[128], *text;

	retired_snapshot();
	strcpy(snap.def[0].name, "a"); /* its side was another one */
	text = ft_snapshot_to_json(&snap);
	cr_assert_eq(ft_snapshot_from_json(text, &back, err, sizeof(err)), 0, "%s", err);
	cr_assert_eq(back.nhops, 3);
	cr_assert_eq(back.def[0].retired, 1);
	cr_assert_eq(back.def[1].retired, 0);
	free(text);
}
