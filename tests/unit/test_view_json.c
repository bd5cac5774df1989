/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `show --json`: the exact text of the contract, and what must be null. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "golden.h"
#include "view.h"

static struct ft_report rep;

static void golden(const char *recording, enum ft_show what, int only, const char *file)
{
	struct ft_buf out = {0};

	golden_report(recording, &rep);
	cr_assert_eq(ft_view_json(&rep, what, only, &out), 0);
	golden_check(file, ft_buf_text(&out));
	ft_buf_close(&out);
}

Test(view_json, hops_are_as_recorded)
{
	golden("storm", FT_SHOW_HOPS, -1, "storm_hops.json");
}

Test(view_json, one_hop_comes_with_its_edges)
{
	golden("storm", FT_SHOW_HOPS, 2, "storm_hop_nginx.json");
}

Test(view_json, edges_are_as_recorded)
{
	golden("storm", FT_SHOW_EDGES, -1, "storm_edges.json");
}

Test(view_json, loss_is_as_recorded)
{
	golden("storm", FT_SHOW_LOSS, -1, "storm_loss.json");
}

Test(view_json, no_hops_is_as_recorded)
{
	golden("empty", FT_SHOW_HOPS, -1, "empty_hops.json");
}

Test(view_json, hostile_names_are_as_recorded)
{
	golden("names", FT_SHOW_HOPS, -1, "names_hops.json");
}

/* What was printed, parsed; the caller gives it back. */
static json_t *parsed(const char *recording, enum ft_show what, int only)
{
	struct ft_buf out = {0};
	json_t *root;

	if (recording)
		golden_report(recording, &rep);
	cr_assert_eq(ft_view_json(&rep, what, only, &out), 0);
	cr_assert_eq(strcspn(ft_buf_text(&out), "\n"), out.len - 1, "one line, ended");
	root = json_loads(ft_buf_text(&out), JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(root);
	ft_buf_close(&out);
	return root;
}

/* The keys of an object, in order. */
static void check_keys(const json_t *o, const char *want)
{
	char keys[512] = "";
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)o, key, value) {
		strcat(keys, keys[0] ? " " : "");
		strcat(keys, key);
	}
	cr_expect_str_eq(keys, want);
}

static json_t *item(const json_t *root, const char *list, int i)
{
	return json_array_get(json_object_get(root, list), i);
}

Test(view_json, keys_are_those_of_the_contract_in_its_order)
{
	json_t *root = parsed("storm", FT_SHOW_HOPS, -1), *hop = item(root, "hops", 0);
	json_t *edge = item(root, "edges", 0);

	check_keys(root, "schema time host source uptime_seconds hops edges loss drift scan");
	check_keys(hop,
		   "name side from port process active preexisting opened closed failed "
		   "states transitions rate lifetime_seconds peers held held_oldest_seconds "
		   "held_check limit places idle silent stale orphaned_fin_wait2 one_shot backlog "
		   "backlog_limit syn_backlog ports files exchanges exchange_rate single_exchange "
		   "queue_wait_seconds");
	check_keys(json_object_get(hop, "closed"), "local remote reset other");
	check_keys(json_object_get(hop, "failed"), "refused timeout unreachable other no_port");
	check_keys(
		json_object_get(hop, "states"),
		"syn_sent syn_recv established fin_wait1 fin_wait2 time_wait close_wait last_ack "
		"closing");
	check_keys(json_object_get(hop, "rate"), "1s 10s 1m 5m");
	check_keys(json_object_get(hop, "lifetime_seconds"), "buckets sum count");
	check_keys(
		edge,
		"from to stock flow renewal flows_per_exchange flows_per_exchange_window paired");
	check_keys(json_object_get(edge, "flow"), "1s 10s 1m 5m start");
	check_keys(json_object_get(edge, "renewal"), "1s 10s 1m 5m");
	json_decref(root);
}

Test(view_json, every_answer_has_the_same_header)
{
	json_t *edges = parsed("storm", FT_SHOW_EDGES, -1);
	json_t *loss = parsed("storm", FT_SHOW_LOSS, -1);

	check_keys(edges, "schema time host source uptime_seconds edges");
	check_keys(
		loss,
		"schema time host source uptime_seconds loss pair_loss rescued undiscovered table");
	/* 5000 made, 4890 gone */
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(loss, "table"), "entries")),
		     117); /* active 15 + 45 + 45 + 10 + 0, and 2 that are connecting */
	json_decref(edges);
	json_decref(loss);
}

Test(view_json, what_is_not_known_is_null)
{
	const char *const of_hop[] = {
		"from",	  "process", "held",	"held_oldest_seconds", "limit", "places", "idle",
		"silent", "stale",   "backlog", "orphaned_fin_wait2",  "ports", "files"};
	json_t *root = parsed("idle", FT_SHOW_HOPS, -1), *hop = item(root, "hops", 0);
	json_t *edge = item(root, "edges", 0), *states = json_object_get(hop, "states");

	for (unsigned int i = 0; i < sizeof(of_hop) / sizeof(of_hop[0]); i++)
		cr_expect(json_is_null(json_object_get(hop, of_hop[i])), "%s", of_hop[i]);
	cr_expect(json_is_null(json_object_get(states, "syn_recv")));
	cr_expect(json_is_null(json_object_get(states, "time_wait")));
	cr_expect(json_is_null(json_object_get(json_object_get(hop, "rate"), "5m")));
	cr_expect(json_is_null(json_object_get(edge, "stock")));
	cr_expect(json_is_null(json_object_get(edge, "paired")));
	cr_expect(json_is_null(json_object_get(json_object_get(edge, "flow"), "start")));
	cr_expect(json_is_null(json_object_get(json_object_get(root, "drift"), "nlb")));
	cr_expect(json_is_null(json_object_get(root, "scan")));
	/* 0 peers are known; a connect hop has no peers to count */
	cr_expect(json_is_integer(json_object_get(hop, "peers")));
	cr_expect(json_is_null(json_object_get(item(root, "hops", 1), "peers")));
	json_decref(root);
}

Test(view_json, one_hop_has_the_edges_at_both_of_its_ends)
{
	json_t *root = parsed("storm", FT_SHOW_EDGES, 1);

	/* queue: nlb -> queue and queue -> nginx; not nginx -> mysql */
	cr_expect_eq(json_array_size(json_object_get(root, "edges")), 2);
	json_decref(root);
	root = parsed("storm", FT_SHOW_HOPS, 4);
	cr_expect_eq(json_array_size(json_object_get(root, "hops")), 1);
	cr_expect_eq(json_array_size(json_object_get(root, "edges")), 0);
	check_keys(json_object_get(root, "drift"), "alive");
	json_decref(root);
}

Test(view_json, only_transitions_that_happened_are_listed)
{
	json_t *root = parsed("idle", FT_SHOW_HOPS, -1), *list;

	cr_expect_eq(json_array_size(json_object_get(item(root, "hops", 0), "transitions")), 0);
	json_decref(root);
	root = parsed("storm", FT_SHOW_HOPS, -1);
	list = json_object_get(item(root, "hops", 0), "transitions");
	/* the preexisting two: found in ESTABLISHED */
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "from")),
			 "UNSEEN");
	cr_expect_eq(json_integer_value(json_object_get(json_array_get(list, 0), "count")), 2);
	json_decref(root);
}

Test(view_json, buckets_are_cumulative)
{
	json_t *root = parsed("six", FT_SHOW_HOPS, -1);
	json_t *life = json_object_get(item(root, "hops", 0), "lifetime_seconds");
	json_t *buckets = json_object_get(life, "buckets");

	/* one flow in each of the 14 slots; the last has no bound and is in the count only */
	cr_expect_eq(json_array_size(buckets), 13);
	for (int i = 0; i < 13; i++)
		cr_expect_eq(json_integer_value(json_array_get(json_array_get(buckets, i), 1)),
			     i + 1);
	cr_expect_float_eq(json_real_value(json_array_get(json_array_get(buckets, 0), 0)), 0.01, 0);
	cr_expect_eq(json_integer_value(json_object_get(life, "count")), 14);
	json_decref(root);
}

Test(view_json, names_that_are_not_utf8_do_not_fail)
{
	json_t *root;

	golden_report("storm", &rep);
	memset(rep.hop[0].name, 0xfe, 3);
	memset(rep.hop[0].process, 0x80, FT_COMM_LEN - 1);
	rep.host[0] = '\xc3';
	root = parsed(NULL, FT_SHOW_HOPS, -1);
	cr_expect_str_eq(json_string_value(json_object_get(item(root, "hops", 0), "name")), "???");
	cr_expect_str_eq(json_string_value(json_object_get(root, "host")), "?eb-1");
	json_decref(root);
}

Test(view_json, numbers_beyond_a_signed_integer_are_saturated)
{
	json_t *root;

	golden_report("storm", &rep);
	rep.hop[0].opened = UINT64_MAX;
	rep.edge[0].stock = INFINITY;
	root = parsed(NULL, FT_SHOW_HOPS, -1);
	cr_expect_eq(json_integer_value(json_object_get(item(root, "hops", 0), "opened")),
		     INT64_MAX);
	cr_expect(json_is_null(json_object_get(item(root, "edges", 0), "stock")));
	json_decref(root);
}
