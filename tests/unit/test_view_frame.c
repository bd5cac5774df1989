/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The live view: its text at the sizes people have, its bounds at every size, and what is
 * marked. The golden files hold the text; what is marked has tests of its own. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "golden.h"
#include "view_frame_internal.h"

static struct ft_report rep;
static struct ft_frame frame;

static struct ft_screen screen_of(int width, int height)
{
	return (struct ft_screen){.width = width, .height = height, .utf8 = true};
}

static void draw(const struct ft_screen *s)
{
	memset(&frame, 0x5a, sizeof(frame)); /* what a frame held before is of no matter */
	ft_view_frame(&rep, s, &frame);
}

/* The frame as text. */
static void plain(struct ft_buf *out)
{
	for (int i = 0; i < frame.nlines; i++)
		ft_buf_printf(out, "%s\n", frame.line[i].text);
}

static void golden(const char *recording, const struct ft_screen *s, const char *file)
{
	struct ft_buf out = {0};

	golden_report(recording, &rep);
	draw(s);
	plain(&out);
	golden_check(file, ft_buf_text(&out));
	ft_buf_close(&out);
}

Test(view_frame, storm_at_80_by_24)
{
	struct ft_screen s = screen_of(80, 24);

	golden("storm", &s, "frame_storm_80x24.txt");
}

Test(view_frame, storm_at_160_by_16)
{
	struct ft_screen s = screen_of(160, 16);

	golden("storm", &s, "frame_storm_160x16.txt");
}

Test(view_frame, storm_in_ascii_paused_with_a_message)
{
	struct ft_screen s = screen_of(100, 16);

	s.utf8 = false;
	s.paused = true;
	s.paused_seconds = 7.4;
	s.message = "no agent: counting for this view\x1b[1m";
	golden("storm", &s, "frame_storm_ascii.txt");
}

Test(view_frame, storm_at_40_by_8)
{
	struct ft_screen s = screen_of(40, 8);

	golden("storm", &s, "frame_storm_40x8.txt");
}

Test(view_frame, calm_idle_empty_and_renewal_have_their_headlines)
{
	struct ft_screen s = screen_of(100, 10);

	golden("calm", &s, "frame_calm.txt");
	golden("idle", &s, "frame_idle.txt");
	golden("empty", &s, "frame_empty.txt");
	golden("renewal", &s, "frame_renewal.txt");
	golden("six", &s, "frame_six.txt");
}

Test(view_frame, help_explains_every_column)
{
	struct ft_screen s = screen_of(80, 30);

	s.help = true;
	golden("storm", &s, "frame_help.txt");
	for (int i = 0; i < frame.nlines; i++)
		cr_expect_lt(strlen(frame.line[i].text), 80, "line %d is cut", i);
}

Test(view_frame, the_limits_have_a_pane_of_their_own)
{
	struct ft_screen s = screen_of(160, 14);

	s.pane = FT_PANE_LIMITS;
	golden("storm", &s, "frame_limits.txt");
	golden("idle", &s, "frame_limits_unknown.txt");
	s.help = true;
	s.height = 30;
	s.width = 80;
	golden("storm", &s, "frame_limits_help.txt");
	for (int i = 0; i < frame.nlines; i++)
		cr_expect_lt(strlen(frame.line[i].text), 80, "line %d is cut", i);
}

Test(view_frame, so_has_what_the_connections_are_used_for)
{
	struct ft_screen s = screen_of(80, 14);

	s.pane = FT_PANE_USE;
	golden("storm", &s, "frame_use.txt");
	golden("idle", &s, "frame_use_unknown.txt");
	s.help = true;
	s.height = 30;
	golden("storm", &s, "frame_use_help.txt");
	for (int i = 0; i < frame.nlines; i++)
		cr_expect_lt(strlen(frame.line[i].text), 80, "line %d is cut", i);
}

/* --- bounds --- */

static int columns(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void check_line(const struct ft_line *line, const struct ft_screen *s)
{
	size_t len = strlen(line->text), end = 0;

	cr_assert_leq(columns(line->text), s->width, "%d: '%s'", s->width, line->text);
	cr_assert_lt(len, sizeof(line->text));
	for (size_t i = 0; i < len; i++)
		cr_assert((unsigned char)line->text[i] >= ' ' && line->text[i] != 0x7f &&
				  (s->utf8 || (unsigned char)line->text[i] < 0x7f),
			  "byte 0x%02x", (unsigned char)line->text[i]);
	cr_assert_leq(line->nspans, FT_FRAME_SPANS);
	for (unsigned int i = 0; i < line->nspans; i++) {
		cr_assert_geq(line->span[i].start, end, "spans in order, apart");
		cr_assert_gt(line->span[i].end, line->span[i].start);
		cr_assert_neq(line->span[i].attr, FT_ATTR_NONE);
		end = line->span[i].end;
	}
	cr_assert_leq(end, len);
}

static void check_frame(const struct ft_screen *s)
{
	draw(s);
	for (int i = 0; i < frame.nlines; i++)
		check_line(&frame.line[i], s);
	if (s->width < 1 || s->height < 1)
		cr_assert_eq(frame.nlines, 0, "nothing fits");
	else /* the key line is the last of the screen, so all of them are there */
		cr_assert_eq(frame.nlines, s->height < 256 ? s->height : 256, "%dx%d", s->width,
			     s->height);
}

static void check_sizes(struct ft_screen s)
{
	for (s.height = 1; s.height <= 60; s.height++)
		for (s.width = 1; s.width <= 200; s.width++)
			check_frame(&s);
}

Test(view_frame, every_size_from_1x1_holds_the_storm)
{
	struct ft_screen s = {.utf8 = true, .message = "no agent"};

	golden_report("storm", &rep);
	check_sizes(s);
}

Test(view_frame, every_size_from_1x1_holds_it_in_ascii_paused)
{
	struct ft_screen s = {.paused = true, .paused_seconds = 1e9, .scroll = 3};

	golden_report("names", &rep);
	check_sizes(s);
}

Test(view_frame, every_size_from_1x1_holds_the_help)
{
	struct ft_screen s = {.help = true, .utf8 = true, .scroll = 5};

	golden_report("empty", &rep);
	check_sizes(s);
}

/* As long, deep and large as a report can be. */
static void largest(void)
{
	static struct ft_snapshot s;
	static struct ft_history none;

	memset(&s, 0, sizeof(s));
	s.nhops = FT_MAX_HOPS;
	memset(s.host, '\xff', sizeof(s.host));
	for (int i = 0; i < FT_MAX_HOPS; i++) {
		memset(s.def[i].name, 'n', FT_NAME_LEN);
		memset(s.def[i].port, '9', FT_TEXT_LEN);
		memset(s.def[i].process, 0x1b, FT_COMM_LEN);
		s.def[i].from = i - 1;
		s.def[i].limit = UINT32_MAX;
		memset(&s.stats[i], 0x7f, sizeof(s.stats[i]));
		s.stats[i].closed[0] = 0;
	}
	memset(&s.totals, 0xff, sizeof(s.totals));
	s.mono_ns = UINT64_MAX;
	ft_model_build(&s, &none, &rep);
}

Test(view_frame, the_largest_report_fits_any_screen)
{
	const int size[] = {-1, 0, 1, 2, 3, 4, 10, 79, 80, 200, 255, 256, 257, 511, 600, 100000};
	const unsigned int n = sizeof(size) / sizeof(size[0]);
	struct ft_screen s = {.utf8 = true, .message = "m"};

	largest();
	for (unsigned int w = 0; w < n; w++)
		for (unsigned int h = 0; h < n; h++) {
			s.width = size[w];
			s.height = size[h];
			s.scroll = size[h];
			check_frame(&s);
		}
}

Test(view_frame, a_pen_stops_at_the_width_and_at_the_end_of_the_line)
{
	static struct ft_line line;
	struct ft_pen p = ft_pen_on(&line, 3);

	ft_pen_put(&p, FT_ATTR_WARN, "a→bc");
	cr_expect_str_eq(line.text, "a→b");
	cr_expect_eq(line.span[0].end, 5, "a, three bytes of the arrow, b");
	p = ft_pen_on(&line, 10000);
	for (int i = 0; i < 1000; i++)
		ft_pen_put(&p, FT_ATTR_WARN, "→");
	/* 512 bytes hold 170 arrows of 3 and the NUL; 24 spans are all there are */
	cr_expect_eq(strlen(line.text), 510);
	cr_expect_eq(line.nspans, FT_FRAME_SPANS);
}

Test(view_frame, a_deep_tree_is_indented_eight_levels_at_most)
{
	struct ft_screen s = screen_of(80, 80);

	largest();
	draw(&s);
	/* title, headline, blank, header, then 64 hops: the last is 63 levels deep */
	cr_expect_eq(strspn(frame.line[4 + 7].text, " "), 14);
	cr_expect_eq(strspn(frame.line[4 + 63].text, " "), 16);
}

/* --- what is seen --- */

static const struct ft_line *line_with(const char *part)
{
	for (int i = 0; i < frame.nlines; i++)
		if (strstr(frame.line[i].text, part))
			return &frame.line[i];
	cr_assert_fail("no line with '%s'", part);
	return NULL;
}

/* The attribute of `part` on the line that has `line`. */
static enum ft_attr attr_of(const char *line, const char *part)
{
	const struct ft_line *l = line_with(line);
	const char *at = strstr(l->text, part);

	cr_assert_not_null(at, "no '%s' in '%s'", part, l->text);
	for (unsigned int i = 0; i < l->nspans; i++)
		if (at - l->text >= l->span[i].start && at - l->text < l->span[i].end)
			return l->span[i].attr;
	return FT_ATTR_NONE;
}

Test(view_frame, what_is_wrong_is_marked)
{
	struct ft_screen s = screen_of(120, 20);

	golden_report("storm", &rep);
	draw(&s);
	cr_expect_eq(attr_of("fantail ", "fantail"), FT_ATTR_TITLE);
	cr_expect_eq(attr_of("fantail ", "loss 2"), FT_ATTR_WARN);
	cr_expect_eq(attr_of("FAN-OUT", "FAN-OUT"), FT_ATTR_WARN);
	cr_expect_eq(attr_of("─ queue", "×3.00"), FT_ATTR_WARN);
	cr_expect_eq(attr_of("─ queue", "×2.70"), FT_ATTR_WARN);
	cr_expect_eq(attr_of("─ queue", "45/15"), FT_ATTR_WARN);
	cr_expect_eq(attr_of("queue: 45/15", "queue"), FT_ATTR_WARN);
	cr_expect_eq(attr_of("─ queue", "   +9.0"), FT_ATTR_NONE); /* behind it */
	cr_expect_eq(attr_of("─ nginx", "×1.00"), FT_ATTR_RATIO);
	cr_expect_eq(attr_of("loss missed_transition", "loss"), FT_ATTR_WARN);
	cr_expect_eq(attr_of("q quit", "q"), FT_ATTR_KEY);
}

Test(view_frame, what_is_well_is_not_marked)
{
	struct ft_screen s = screen_of(120, 20);

	golden_report("calm", &rep);
	draw(&s);
	cr_expect_eq(attr_of("fantail ", "loss 0"), FT_ATTR_NONE);
	cr_expect_eq(attr_of("FAN-OUT", "1.0 at every hop"), FT_ATTR_RATIO);
	cr_expect_eq(attr_of("─ queue", "4/15"), FT_ATTR_NONE);
}

Test(view_frame, a_limit_warns_when_it_is_reached)
{
	struct ft_screen s = screen_of(120, 20);

	golden_report("calm", &rep);
	rep.hop[1].active = 14;
	draw(&s);
	cr_expect_eq(attr_of("─ queue", "14/15"), FT_ATTR_NONE);
	rep.hop[1].active = 15;
	draw(&s);
	cr_expect_eq(attr_of("─ queue", "15/15"), FT_ATTR_WARN);
}

Test(view_frame, one_line_is_the_headline)
{
	struct ft_screen s = screen_of(80, 1);

	golden_report("storm", &rep);
	draw(&s);
	cr_expect_str_eq(frame.line[0].text,
			 "FAN-OUT nlb → queue  3.0 flows per connection  (1m: 2.7)");
}

Test(view_frame, the_headline_names_the_highest_ratio_below_the_threshold)
{
	struct ft_screen s = screen_of(80, 1);

	golden_report("calm", &rep);
	rep.edge[0].stock = 1.4;
	draw(&s);
	cr_expect_str_eq(frame.line[0].text, "FAN-OUT 1.4 at most, nlb → queue");
	rep.edge[0].stock = 0.9;
	draw(&s);
	cr_expect_str_eq(frame.line[0].text, "FAN-OUT 0.9 at most, nlb → queue");
	rep.edge[0].stock = 1.5;
	draw(&s);
	cr_expect_str_eq(frame.line[0].text,
			 "FAN-OUT nlb → queue  1.5 flows per connection  (1m: 1.0)");
}

Test(view_frame, more_hops_than_rows_are_scrolled)
{
	struct ft_screen s = screen_of(80, 8);

	largest();
	for (int i = 0; i < FT_MAX_HOPS; i++)
		snprintf(rep.hop[i].name, FT_NAME_LEN, "hop%d", i);
	memset(rep.loss, 0, sizeof(rep.loss));
	draw(&s);
	/* 8 lines: title, headline, header, 4 hops, keys */
	cr_expect(line_with("hop0"));
	cr_expect(strstr(frame.line[7].text, "hops 1-4 of 64"));
	s.scroll = 10;
	draw(&s);
	cr_expect(line_with("hop10"));
	cr_expect(strstr(frame.line[7].text, "hops 11-14 of 64"));
	s.scroll = 1000000;
	draw(&s);
	cr_expect(strstr(frame.line[7].text, "hops 61-64 of 64"), "no further than the last");
	cr_expect_eq(frame.scroll, 60, "and from there the next key goes on");
	s.scroll = -5;
	draw(&s);
	cr_expect(strstr(frame.line[7].text, "hops 1-4 of 64"));
	cr_expect_eq(frame.scroll, 0);
	s = screen_of(80, 1);
	s.scroll = 10;
	draw(&s);
	cr_expect_eq(frame.scroll, 10, "a terminal too small for hops forgets nothing");
}

Test(view_frame, columns_leave_from_the_right_and_whole)
{
	const char *const title[] = {"ACTIVE", "NEW/s", "FLOW",	  "FAILED",  "WHERE", "EST",
				     "SYN",    "FINW",	"CLOSEW", "LASTACK", "BY-US", "BY-PEER",
				     "RESET",  "OTHER", "PEERS",  "PROCESS"};
	const int n = sizeof(title) / sizeof(title[0]);
	struct ft_screen s = screen_of(200, 20);
	int seen = n;

	golden_report("storm", &rep);
	for (; s.width > 0; s.width--) {
		const char *header;
		int now = 0;

		draw(&s);
		header = frame.line[3].text;
		while (now < n && strstr(header, title[now]))
			now++;
		for (int i = now; i < n; i++)
			cr_expect_null(strstr(header, title[i]), "%d: %s", s.width, header);
		cr_expect_leq(now, seen, "a column came back at width %d", s.width);
		seen = now;
	}
	cr_expect_eq(seen, 0);
}
