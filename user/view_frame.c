/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One screen of the live view, from state alone: the same report and screen give the same
 * frame. The headline names the worst edge before any table, because it is what somebody at
 * 3 a.m. needs; it stays when a screen has one line, and the key line is always the last. */
#include <math.h>

#include "tcp.h"
#include "view_frame_internal.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct ft_glyphs utf8_glyphs = {"→", "└─", "─", "×", "–"};
static const struct ft_glyphs ascii_glyphs = {"->", "`-", "-", "x", "-"};

static const struct ft_pane *const panes[FT_NPANES] = {
	[FT_PANE_FLOWS] = &ft_pane_flows,
	[FT_PANE_LIMITS] = &ft_pane_limits,
	[FT_PANE_USE] = &ft_pane_use,
};

/* The next line of the frame. Callers count lines; one too many would overwrite the last. */
static struct ft_pen next_line(struct ft_canvas *c)
{
	if (c->frame->nlines < c->height)
		c->frame->nlines++;
	return ft_pen_on(&c->frame->line[c->frame->nlines - 1], c->width);
}

static void row(struct ft_canvas *c, const int width[FT_MAX_COLUMNS], unsigned int n,
		const struct ft_report_hop *h)
{
	struct ft_pen p = next_line(c);

	ft_columns_row(&p, c, width, n, h);
}

/* --- the lines around the table --- */

static void put_duration(struct ft_pen *p, double seconds)
{
	/* The bound keeps the conversion defined for any report. */
	unsigned int s = seconds > 0 ? (seconds < 4e9 ? seconds : 4e9) : 0;

	if (s < 60)
		ft_pen_printf(p, FT_ATTR_NONE, "%us", s);
	else if (s < 3600)
		ft_pen_printf(p, FT_ATTR_NONE, "%um%02us", s / 60, s % 60);
	else if (s < 86400)
		ft_pen_printf(p, FT_ATTR_NONE, "%uh%02um", s / 3600, s / 60 % 60);
	else
		ft_pen_printf(p, FT_ATTR_NONE, "%ud%02uh", s / 86400, s / 3600 % 24);
}

static void title(struct ft_canvas *c)
{
	const struct ft_report *r = c->r;
	struct ft_pen p = next_line(c);

	ft_pen_put(&p, FT_ATTR_TITLE, "fantail");
	if (c->s->paused)
		ft_pen_printf(&p, FT_ATTR_WARN, "  PAUSED %.0fs", c->s->paused_seconds);
	ft_pen_put(&p, FT_ATTR_NONE, "  ");
	ft_pen_name(&p, FT_ATTR_NONE, r->host, sizeof(r->host));
	ft_pen_printf(&p, FT_ATTR_DIM, "  %s", ft_source_name(r->source));
	ft_pen_put(&p, FT_ATTR_NONE, "  up ");
	put_duration(&p, r->uptime_seconds);
	ft_pen_put(&p, FT_ATTR_NONE, "  ");
	ft_pen_printf(&p, r->loss_total ? FT_ATTR_WARN : FT_ATTR_NONE, "loss %llu",
		      (unsigned long long)r->loss_total);
	if (!r->counting)
		ft_pen_put(&p, FT_ATTR_WARN, "  no agent runs; the kernel goes on counting");
}

static void put_edge(struct ft_pen *p, const struct ft_canvas *c, enum ft_attr attr,
		     const struct ft_report_edge *e)
{
	ft_pen_name(p, attr, c->r->hop[e->from].name, FT_NAME_LEN);
	ft_pen_printf(p, attr, " %s ", c->g->arrow);
	ft_pen_name(p, attr, c->r->hop[e->to].name, FT_NAME_LEN);
}

static void headline_high(struct ft_pen *p, const struct ft_canvas *c,
			  const struct ft_report_edge *e, bool by_flow)
{
	const char *window;
	double flow = ft_report_flow(c->r, e, &window);

	put_edge(p, c, FT_ATTR_WARN, e);
	if (by_flow)
		ft_pen_printf(p, FT_ATTR_WARN, "  %.1f new flows per new connection (%s)", flow,
			      window);
	else
		ft_pen_printf(p, FT_ATTR_WARN, "  %.1f flows per connection", e->stock);
	if (by_flow && isfinite(e->stock))
		ft_pen_printf(p, FT_ATTR_NONE, "  (open now: %.1f)", e->stock);
	else if (!by_flow && isfinite(flow))
		ft_pen_printf(p, FT_ATTR_NONE, "  (%s: %.1f)", window, flow);
}

/* Every known stock ratio would be printed as 1.0. */
static bool all_one(const struct ft_report *r)
{
	for (unsigned int i = 0; i < r->nedges; i++)
		if (r->edge[i].stock < 0.95 || r->edge[i].stock >= 1.05)
			return false;
	return true;
}

static void headline(struct ft_canvas *c)
{
	bool by_flow;
	const struct ft_report_edge *e = ft_report_worst(c->r, &by_flow);
	struct ft_pen p = next_line(c);

	ft_pen_put(&p, e && (by_flow || e->stock >= FT_RATIO_HIGH) ? FT_ATTR_WARN : FT_ATTR_RATIO,
		   "FAN-OUT ");
	if (e && (by_flow || e->stock >= FT_RATIO_HIGH)) {
		headline_high(&p, c, e, by_flow);
	} else if (e && all_one(c->r)) {
		ft_pen_put(&p, FT_ATTR_RATIO, "1.0 at every hop");
	} else if (e) {
		ft_pen_printf(&p, FT_ATTR_RATIO, "%.1f at most, ", e->stock);
		put_edge(&p, c, FT_ATTR_RATIO, e);
	} else {
		ft_pen_printf(&p, FT_ATTR_NONE, "%s  %s", c->g->none,
			      c->r->nedges ? "no open connection to compare with"
					   : "no hop is made on behalf of another");
	}
}

static void key(struct ft_pen *p, const char *name, const char *what)
{
	if (p->column)
		ft_pen_put(p, FT_ATTR_NONE, "  ");
	ft_pen_put(p, FT_ATTR_KEY, name);
	ft_pen_printf(p, FT_ATTR_DIM, " %s", what);
}

/* The key line, and which of the `total` lines above it are seen. */
static void keys(struct ft_canvas *c, const char *noun, int first, int shown, int total)
{
	struct ft_pen p = next_line(c);

	key(&p, "q", "quit");
	key(&p, "p", c->s->paused ? "go on" : "pause");
	for (unsigned int i = 0; i < FT_NPANES; i++)
		if (panes[i] != c->pane)
			key(&p, panes[i]->key, panes[i]->name);
	key(&p, "?", c->s->help ? "back" : "help");
	if (shown < total)
		ft_pen_printf(&p, FT_ATTR_WARN, "  %s %d-%d of %d (up/down)", noun, first + 1,
			      first + shown, total);
}

static void blank_until(struct ft_canvas *c, int lines)
{
	while (c->frame->nlines < lines)
		next_line(c);
}

/* --- the main screen --- */

/* Hops whose places are all taken, or whose waiting line is not empty. */
static bool crowded(const struct ft_report *r, const struct ft_report_hop *h)
{
	return r->scanned && h->limit && (h->places.used >= h->limit || h->places.held);
}

static int crowds(const struct ft_report *r)
{
	int n = 0;

	for (unsigned int i = 0; i < r->nhops; i++)
		n += crowded(r, &r->hop[i]);
	return n;
}

static void crowd_lines(struct ft_canvas *c, int lines)
{
	char text[FT_TEXT_LEN];

	for (unsigned int i = 0; i < c->r->nhops && lines > 0; i++) {
		unsigned int hop = c->r->order[i];
		struct ft_pen p;

		if (!crowded(c->r, &c->r->hop[hop]))
			continue;
		ft_report_places_line(c->r, hop, text, sizeof(text));
		p = next_line(c);
		ft_pen_put(&p, FT_ATTR_WARN, text);
		lines--;
	}
}

static int clamp_scroll(int scroll, int shown, int total)
{
	int most = total > shown ? total - shown : 0;

	return scroll < 0 ? 0 : scroll > most ? most : scroll;
}

static int loss_reasons(const struct ft_report *r)
{
	int n = 0;

	for (unsigned int i = 0; i < FT_NLOSS; i++)
		n += !!r->loss[i];
	return n;
}

static void loss_lines(struct ft_canvas *c, int lines)
{
	for (unsigned int i = 0; i < FT_NLOSS && lines > 0; i++) {
		struct ft_pen p;

		if (!c->r->loss[i])
			continue;
		p = next_line(c);
		ft_pen_printf(&p, FT_ATTR_WARN, "loss %s %llu", ft_loss_name(i),
			      (unsigned long long)c->r->loss[i]);
		ft_pen_printf(&p, FT_ATTR_NONE, "  %s", ft_loss_help(i));
		lines--;
	}
}

/* Draws up to `lines` lines of the table; returns how many hops are on them. */
static int table(struct ft_canvas *c, int lines, int *ret_first)
{
	int width[FT_MAX_COLUMNS], total = c->r->nhops, shown;
	unsigned int n = ft_columns_measure(c, width);

	*ret_first = 0;
	if (!total && lines > 0) {
		struct ft_pen p = next_line(c);

		ft_pen_put(&p, FT_ATTR_NONE,
			   "no hops: nothing listens or connects here; try: fantail demo");
		return 0;
	}
	if (lines >= total + 2 && lines--)
		next_line(c);
	if (lines >= 2 && lines--)
		row(c, width, n, NULL);
	shown = lines < total ? lines : total;
	*ret_first = clamp_scroll(c->s->scroll, shown, total);
	for (int i = 0; i < shown; i++)
		row(c, width, n, &c->r->hop[c->r->order[*ret_first + i]]);
	return shown;
}

static void main_screen(struct ft_canvas *c)
{
	int body = c->height - 3, losses, message, crowd, first, shown;

	if (c->height > 1)
		title(c);
	headline(c);
	if (body < 0)
		return;
	crowd = crowds(c->r) < body / 3 ? crowds(c->r) : body / 3;
	crowd_lines(c, crowd);
	body -= crowd;
	losses = loss_reasons(c->r) < body / 3 ? loss_reasons(c->r) : body / 3;
	message = c->s->message && body - losses > 2;
	shown = table(c, body - losses - message, &first);
	c->frame->scroll = first;
	blank_until(c, c->height - 1 - losses - message);
	loss_lines(c, losses);
	if (message) {
		struct ft_pen p = next_line(c);

		ft_pen_name(&p, FT_ATTR_DIM, c->s->message, FT_TEXT_LEN);
	}
	keys(c, "hops", first, shown, c->r->nhops);
}

/* --- the help screen --- */

static const struct {
	const char *word, *text;
} words[] = {
	{"fan-out", "how many connections a hop makes for each one it was given"},
	{"stock ratio", "open now / open now at the hop it works for"},
	{"flow ratio", "newly opened / newly opened there; reuse makes it small,"},
	{"", "keep-alive limits make it large behind connections that stay"},
	{"no ratio", "nothing to divide by: no connection at the hop above"},
	{"loss", "what could not be seen or stored; 0 when all is well"},
	{"", ""},
};

static void help_line(struct ft_canvas *c, unsigned int i)
{
	bool is_word = i < COUNT(words);
	const char *text = is_word ? words[i].text : c->pane->column[i - COUNT(words)].help;
	struct ft_pen p = next_line(c);

	ft_pen_put(&p, FT_ATTR_KEY,
		   is_word ? words[i].word : c->pane->column[i - COUNT(words)].title);
	ft_pen_spaces(&p, *text ? 13 - p.column : 0);
	ft_pen_put(&p, FT_ATTR_NONE, text);
}

static void help_screen(struct ft_canvas *c)
{
	int total = COUNT(words) + c->pane->ncolumns, lines = c->height - 2, shown, first;
	struct ft_pen p = next_line(c);

	ft_pen_put(&p, FT_ATTR_TITLE, "fantail: what the words and the columns mean");
	if (lines < 0)
		return;
	shown = lines < total ? lines : total;
	first = c->frame->scroll = clamp_scroll(c->s->scroll, shown, total);
	for (int i = 0; i < shown; i++)
		help_line(c, first + i);
	blank_until(c, c->height - 1);
	keys(c, "lines", first, shown, total);
}

void ft_view_frame(const struct ft_report *r, const struct ft_screen *s, struct ft_frame *ret)
{
	struct ft_canvas c = {
		.r = r,
		.s = s,
		.g = s->utf8 ? &utf8_glyphs : &ascii_glyphs,
		.pane = panes[s->pane < FT_NPANES ? s->pane : FT_PANE_FLOWS],
		.frame = ret,
		.width = s->width,
		.height = s->height < (int)COUNT(ret->line) ? s->height : (int)COUNT(ret->line),
	};

	ret->nlines = 0;
	ret->scroll = s->scroll; /* where nothing of it is drawn */
	if (c.width < 1 || c.height < 1)
		return;
	if (s->help)
		help_screen(&c);
	else
		main_screen(&c);
}
