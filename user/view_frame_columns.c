/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The columns of the live view: title, meaning and how a cell is drawn, one row each. A cell
 * is drawn twice, first on a scratch line to learn its width: a layout and a drawing that
 * disagree cannot be written. Columns are dropped whole, from the right. */
#include <math.h>
#include <string.h>

#include "tcp.h"
#include "view_frame_internal.h"

#define MAX_INDENT 8 /* levels; deeper hops are drawn there */
#define MAX_WHERE  24
#define GAP	   2

void ft_put_count(struct ft_pen *p, enum ft_attr attr, uint64_t n)
{
	ft_pen_printf(p, attr, "%llu", (unsigned long long)n);
}

void ft_put_none(struct ft_pen *p, const struct ft_canvas *c)
{
	ft_pen_put(p, FT_ATTR_DIM, c->g->none);
}

void ft_put_real(struct ft_pen *p, const struct ft_canvas *c, const char *fmt, double value)
{
	char text[32];

	if (!isfinite(value)) {
		ft_put_none(p, c);
		return;
	}
	snprintf(text, sizeof(text), fmt, value);
	ft_pen_put(p, FT_ATTR_NONE, text);
}

static void put_ratio(struct ft_pen *p, const struct ft_canvas *c, double ratio)
{
	enum ft_attr attr = ratio >= FT_RATIO_HIGH ? FT_ATTR_WARN : FT_ATTR_RATIO;

	if (isfinite(ratio))
		ft_pen_printf(p, attr, "%s%.2f", c->g->times, ratio);
	else
		ft_pen_printf(p, FT_ATTR_DIM, "%s%s", c->g->times, c->g->none);
}

void ft_column_hop(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h)
{
	const struct ft_report_edge *e = ft_report_edge_to(c->r, h - c->r->hop);

	if (e) {
		ft_pen_spaces(p, 2 * (h->depth < MAX_INDENT ? h->depth : MAX_INDENT));
		ft_pen_printf(p, FT_ATTR_DIM, "%s ", c->g->branch);
		put_ratio(p, c, e->stock);
		ft_pen_printf(p, FT_ATTR_DIM, " %s ", c->g->dash);
	}
	ft_pen_name(p, FT_ATTR_NONE, h->name, FT_NAME_LEN);
}

static void draw_where(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h)
{
	(void)c;
	ft_pen_printf(p, FT_ATTR_NONE, "%s ", ft_side_name(h->side));
	ft_pen_name(p, FT_ATTR_NONE, h->port, MAX_WHERE);
}

static void draw_active(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h)
{
	(void)c;
	if (h->limit)
		ft_pen_printf(p, h->active >= h->limit ? FT_ATTR_WARN : FT_ATTR_NONE, "%llu/%u",
			      (unsigned long long)h->active, h->limit);
	else
		ft_put_count(p, FT_ATTR_NONE, h->active);
}

static void draw_rate(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h)
{
	double rate = ft_report_rate(c->r, h - c->r->hop);

	if (isfinite(rate))
		ft_pen_printf(p, FT_ATTR_NONE, "+%.1f", rate);
	else
		ft_put_none(p, c);
}

static void draw_flow(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h)
{
	const struct ft_report_edge *e = ft_report_edge_to(c->r, h - c->r->hop);

	if (e)
		put_ratio(p, c, ft_report_flow(c->r, e, NULL));
}

static void draw_failed(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < FT_NFAILED; i++)
		sum += h->failed[i];
	if (h->side == FT_ACCEPT && !sum)
		ft_put_none(p, c);
	else
		ft_put_count(p, sum ? FT_ATTR_WARN : FT_ATTR_NONE, sum);
}

static void draw_syn(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h)
{
	if (h->side == FT_ACCEPT)
		ft_put_none(p, c);
	else
		ft_put_count(p, FT_ATTR_NONE, h->state[FT_SYN_SENT]);
}

static void draw_fin_wait(struct ft_pen *p, const struct ft_canvas *c,
			  const struct ft_report_hop *h)
{
	(void)c;
	ft_put_count(p, FT_ATTR_NONE, h->state[FT_FIN_WAIT1] + h->state[FT_FIN_WAIT2]);
}

static void draw_peers(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h)
{
	if (h->side != FT_ACCEPT || h->peers == FT_PEERS_UNKNOWN)
		ft_put_none(p, c);
	else
		ft_put_count(p, FT_ATTR_NONE, h->peers);
}

static void draw_process(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h)
{
	(void)c;
	ft_pen_name(p, FT_ATTR_NONE, h->process, FT_COMM_LEN);
}

#define AT(field) NULL, offsetof(struct ft_report_hop, field)

static const struct ft_column columns[] = {
	{"HOP", true, "a stage of the path; before it: its stock ratio", ft_column_hop, 0},
	{"ACTIVE", false, "connections open now / the configured limit", draw_active, 0},
	{"NEW/s", false, "connections opened per second (10 s)", draw_rate, 0},
	{"FLOW", false, "flow ratio (1 min; at first 10 s, or since start)", draw_flow, 0},
	{"FAILED", false, "connects that were never established", draw_failed, 0},
	{"WHERE", true, "accepted here on a port, or connected from here to one", draw_where, 0},
	{"EST", false, "in ESTABLISHED", AT(state[FT_ESTABLISHED])},
	{"SYN", false, "in SYN_SENT: connects that wait for their answer", draw_syn, 0},
	{"FINW", false, "in FIN_WAIT: closed here, the peer has not closed yet", draw_fin_wait, 0},
	{"CLOSEW", false, "in CLOSE_WAIT: the peer closed, the process has not",
	 AT(state[FT_CLOSE_WAIT])},
	{"LASTACK", false, "in LAST_ACK: closed by both, waiting for the last ACK",
	 AT(state[FT_LAST_ACK])},
	{"BY-US", false, "closed by the local side first", AT(closed[FT_CLOSED_LOCAL])},
	{"BY-PEER", false, "closed by the remote side first", AT(closed[FT_CLOSED_REMOTE])},
	{"RESET", false, "closed by a reset", AT(closed[FT_CLOSED_RESET])},
	{"OTHER", false, "closed by a timeout or something else", AT(closed[FT_CLOSED_OTHER])},
	{"PEERS", false, "remote addresses that hold a connection (accept hops)", draw_peers, 0},
	{"PROCESS", true, "the process that owns the hop", draw_process, 0},
};
const struct ft_pane ft_pane_flows = {"f", "flows", columns, sizeof(columns) / sizeof(columns[0])};

static void draw(struct ft_pen *p, const struct ft_canvas *c, const struct ft_column *column,
		 const struct ft_report_hop *h)
{
	uint64_t value;

	if (!h) {
		ft_pen_put(p, FT_ATTR_DIM, column->title);
	} else if (column->draw) {
		column->draw(p, c, h);
	} else {
		memcpy(&value, (const char *)h + column->offset, sizeof(value));
		ft_put_count(p, FT_ATTR_NONE, value);
	}
}

static int cell_width(const struct ft_canvas *c, const struct ft_column *column,
		      const struct ft_report_hop *h)
{
	struct ft_line scratch;
	struct ft_pen p = ft_pen_on(&scratch, sizeof(scratch.text));

	draw(&p, c, column, h);
	return p.column;
}

unsigned int ft_columns_measure(const struct ft_canvas *c, int ret_width[FT_MAX_COLUMNS])
{
	const struct ft_column *column = c->pane->column;
	int total = -GAP;

	for (unsigned int i = 0; i < c->pane->ncolumns; i++) {
		ret_width[i] = cell_width(c, &column[i], NULL);
		for (unsigned int h = 0; h < c->r->nhops; h++) {
			int w = cell_width(c, &column[i], &c->r->hop[h]);

			if (w > ret_width[i])
				ret_width[i] = w;
		}
		total += ret_width[i] + GAP;
		if (i && total > c->width)
			return i;
	}
	return c->pane->ncolumns;
}

void ft_columns_row(struct ft_pen *p, const struct ft_canvas *c, const int width[FT_MAX_COLUMNS],
		    unsigned int n, const struct ft_report_hop *h)
{
	int start = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct ft_column *column = &c->pane->column[i];
		int pad = column->left ? 0 : width[i] - cell_width(c, column, h);

		ft_pen_spaces(p, start - p->column + pad);
		draw(p, c, column, h);
		start += width[i] + GAP;
	}
}
