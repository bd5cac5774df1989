/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The live view's third pane: what the connections are used for, in the last minute (REQ/s: ten
 * seconds): what a week of health adds up to hides the minute in which a pool breaks. */
#include <math.h>

#include "view_frame_internal.h"

#define DRAW struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h

static void draw_exchanges(DRAW)
{
	ft_put_real(p, c, "%.1f", ft_report_exchange_rate(h));
}

static void draw_per_exchange(DRAW)
{
	ft_put_real(p, c, "%.2f",
		    ft_report_recent(c->r, h->flows_per_exchange, ft_report_flows_per_exchange(h)));
}

static void draw_one_shot(DRAW)
{
	ft_put_real(p, c, "%.0f%%",
		    100 * ft_report_recent(c->r, h->one_shot_in, h->one_shot_share));
}

static void draw_paired(DRAW)
{
	struct ft_report_paired paired;
	const struct ft_report_mean *m = &paired.recent;

	ft_report_paired(h, &paired);
	if (isfinite(m->mean))
		ft_pen_printf(p, m->mean >= FT_RATIO_HIGH ? FT_ATTR_WARN : FT_ATTR_NONE, "%s%.2f",
			      c->g->times, m->mean);
	else if (isfinite(m->low))
		ft_pen_printf(p, FT_ATTR_NONE, "%s%.1f-%.1f", c->g->times, m->low, m->high);
	else
		ft_put_none(p, c);
}

static void draw_confidence(DRAW)
{
	struct ft_report_paired paired;

	ft_report_paired(h, &paired);
	ft_put_real(p, c, "%.2f", paired.known ? paired.confidence : NAN);
}

static void draw_reuse(DRAW)
{
	struct ft_report_paired paired;

	ft_report_paired(h, &paired);
	ft_put_real(p, c, "%.1f", paired.reuse_mean);
}

/* The mean; the histogram is in JSON and Prometheus. */
static void draw_wait(DRAW)
{
	ft_put_real(p, c, "%.3fs", ft_report_wait(c->r, h));
}

static const struct ft_column columns[] = {
	{"HOP", true, "a stage of the path; before it: its stock ratio", ft_column_hop, 0},
	{"REQ/s", false, "exchanges per second: about the requests of HTTP/1", draw_exchanges, 0},
	{"NEW/REQ", false, "new connections per exchange: 1 where none is kept", draw_per_exchange,
	 0},
	{"PAIRED", false, "distinct connections that carried each one's bytes", draw_paired, 0},
	{"CONF", false, "how far PAIRED can be trusted, 0 to 1; below .70 it is not told",
	 draw_confidence, 0},
	{"REUSE", false, "since pairing began: how many of the hop above one has served",
	 draw_reuse, 0},
	{"1-SHOT", false, "of those that ended, how many had carried one request", draw_one_shot,
	 0},
	{"WAIT", false, "mean time until a backend connection served it", draw_wait, 0},
};
const struct ft_pane ft_pane_use = {"u", "use", columns, sizeof(columns) / sizeof(columns[0])};
