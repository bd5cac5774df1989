/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The plain tables: their text, and that nothing but printable ASCII comes out. */
#include <criterion/criterion.h>
#include <string.h>

#include "golden.h"
#include "view.h"

static struct ft_report rep;

static void check_plain(const char *text)
{
	for (; *text; text++)
		cr_assert(*text == '\n' || (*text >= ' ' && *text <= '~'), "byte 0x%02x",
			  (unsigned char)*text);
}

static void golden(const char *recording, enum ft_show what, int only, const char *file)
{
	struct ft_buf out = {0};

	golden_report(recording, &rep);
	ft_view_text(&rep, what, only, &out);
	cr_assert_eq(ft_buf_error(&out), 0);
	check_plain(ft_buf_text(&out));
	golden_check(file, ft_buf_text(&out));
	ft_buf_close(&out);
}

Test(view_text, storm_is_a_tree_and_names_the_multiplier)
{
	golden("storm", FT_SHOW_HOPS, -1, "storm_hops.txt");
}

Test(view_text, one_hop_is_one_row)
{
	golden("storm", FT_SHOW_HOPS, 1, "storm_hop_queue.txt");
}

Test(view_text, edges_are_as_recorded)
{
	golden("storm", FT_SHOW_EDGES, -1, "storm_edges.txt");
}

Test(view_text, loss_is_explained)
{
	golden("storm", FT_SHOW_LOSS, -1, "storm_loss.txt");
}

Test(view_text, loss_of_pairs_is_explained_if_there_are_pairs)
{
	struct ft_buf out = {0};

	golden_report("calm", &rep);
	for (unsigned int i = 0; i < rep.nhops; i++)
		rep.hop[i].pairs.role = FT_PAIR_NONE;
	memset(rep.pair_loss, 0, sizeof(rep.pair_loss));
	ft_view_text(&rep, FT_SHOW_LOSS, -1, &out);
	cr_expect_null(strstr(ft_buf_text(&out), "pairs."));
	ft_buf_reset(&out);
	for (unsigned int i = 0; i < FT_NPAIR_LOSS; i++)
		rep.pair_loss[i] = i + 1;
	ft_view_text(&rep, FT_SHOW_LOSS, -1, &out);
	check_plain(ft_buf_text(&out));
	cr_expect_null(strchr(ft_buf_text(&out), '?'));
	golden_check("pairs_loss.txt", ft_buf_text(&out));
	ft_buf_close(&out);
}

static void check_listener(struct ft_listener *l, const char *local)
{
	struct ft_view_listener v = {l, NULL, "", 0};
	struct ft_buf out = {0};

	ft_view_listener_text(&v, &out);
	cr_expect_eq(strncmp(ft_buf_text(&out), local, strlen(local)), 0, "%s", ft_buf_text(&out));
	ft_buf_close(&out);
}

Test(view_text, any_address_is_a_star_because_its_family_is_not_known)
{
	struct ft_listener l = {.port = 65535};
	struct ft_view_listener v = {&l, NULL, "", 0};
	struct ft_buf out = {0};

	check_listener(&l, "*:65535 ");
	cr_assert_eq(ft_view_listener_json(&v, &out), 0);
	cr_expect(strstr(ft_buf_text(&out), "\"local\":\"[::]:65535\""));
	ft_buf_close(&out);
	memset(l.addr + 10, 0xff, 2);
	check_listener(&l, "*:65535 "); /* 0.0.0.0 */
	l.addr[12] = 127;
	check_listener(&l, "127.0.0.0:65535 ");
	l.addr[0] = 0xfd;
	check_listener(&l, "[fd00::ffff:7f00:0]:65535 ");
}

Test(view_text, no_hops_says_what_to_try)
{
	golden("empty", FT_SHOW_HOPS, -1, "empty_hops.txt");
}

Test(view_text, no_edges_is_a_sentence)
{
	golden("empty", FT_SHOW_EDGES, -1, "empty_edges.txt");
}

Test(view_text, idle_is_a_sentence)
{
	golden("idle", FT_SHOW_HOPS, -1, "idle_hops.txt");
}

Test(view_text, a_calm_chain_names_no_multiplier_and_says_that_no_agent_runs)
{
	golden("calm", FT_SHOW_HOPS, -1, "calm_hops.txt");
}

Test(view_text, renewal_behind_connections_that_stay_is_named_as_such)
{
	golden("renewal", FT_SHOW_HOPS, -1, "renewal_hops.txt");
}

Test(view_text, hostile_names_are_harmless)
{
	golden("names", FT_SHOW_HOPS, -1, "names_hops.txt");
	golden("names", FT_SHOW_EDGES, -1, "names_edges.txt");
}

Test(view_text, columns_stay_aligned_with_the_longest_number)
{
	struct ft_buf out = {0};
	const char *header, *row;

	golden_report("storm", &rep);
	rep.hop[0].opened = UINT64_MAX; /* 20 digits */
	ft_view_text(&rep, FT_SHOW_HOPS, -1, &out);
	header = strchr(ft_buf_text(&out), '\n') + 1;
	row = strchr(header, '\n') + 1;
	/* the last column, right-aligned, ends where its title does */
	cr_expect_eq(strcspn(header, "\n"), strcspn(row, "\n"));
	cr_expect(strstr(row, " 18446744073709551615 "));
	ft_buf_close(&out);
}

Test(view_text, a_tree_of_sixty_four_levels_has_room)
{
	static struct ft_snapshot s;
	static struct ft_history none;
	struct ft_buf out = {0};

	s.nhops = FT_MAX_HOPS;
	for (int i = 0; i < FT_MAX_HOPS; i++) {
		memset(s.def[i].name, 'n', FT_NAME_LEN);
		memset(s.def[i].port, '9', FT_TEXT_LEN);
		s.def[i].from = i - 1;
	}
	ft_model_build(&s, &none, &rep);
	ft_view_text(&rep, FT_SHOW_HOPS, -1, &out);
	check_plain(ft_buf_text(&out));
	ft_buf_close(&out);
}
