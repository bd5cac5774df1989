/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The live view's second pane: what breaks next. Its numbers come from the last scan; before
 * the first they are absent, as are those that a side does not have. */
#include <math.h>

#include "view_frame_internal.h"

#define WARN_SHARE 0.8 /* of a limit */

/* used/limit, in the warning's colour when little is left. */
static void put_use(struct ft_pen *p, const struct ft_canvas *c, uint64_t used, uint64_t limit)
{
	if (!limit || !c->r->scanned)
		ft_put_none(p, c);
	else
		ft_pen_printf(p, used >= WARN_SHARE * limit ? FT_ATTR_WARN : FT_ATTR_NONE,
			      "%llu/%llu", (unsigned long long)used, (unsigned long long)limit);
}

static void put_found(struct ft_pen *p, const struct ft_canvas *c, bool known, uint64_t n,
		      bool warn)
{
	if (known && c->r->scanned)
		ft_put_count(p, n && warn ? FT_ATTR_WARN : FT_ATTR_NONE, n);
	else
		ft_put_none(p, c);
}

static void put_seconds(struct ft_pen *p, const struct ft_canvas *c, bool known, double seconds)
{
	if (known && isfinite(seconds))
		ft_pen_printf(p, FT_ATTR_NONE, "%.0fs", seconds);
	else
		ft_put_none(p, c);
}

#define DRAW struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h

static void draw_places(DRAW)
{
	put_use(p, c, h->places.used, h->limit);
}

static void draw_held(DRAW)
{
	put_found(p, c, h->side == FT_ACCEPT, h->found.held, false);
}

static void draw_held_oldest(DRAW)
{
	put_seconds(p, c, c->r->scanned && h->found.held, h->found.held_oldest_ns / 1e9);
}

static void draw_backlog(DRAW)
{
	put_use(p, c, h->found.backlog, h->found.backlog_limit);
}

static void draw_ports(DRAW)
{
	put_use(p, c, h->limits.ports_used, h->limits.ports_limit);
}

static void draw_exhausted(DRAW)
{
	put_seconds(p, c, h->limits.ports_exhausted_ns, h->limits.ports_exhausted_ns / 1e9);
}

static void draw_files(DRAW)
{
	put_use(p, c, h->limits.files_used, h->limits.files_limit);
}

static void draw_idle_1s(DRAW)
{
	put_found(p, c, true, ft_report_idle(h, 0), false);
}

static void draw_idle_75s(DRAW)
{
	put_found(p, c, true, ft_report_idle(h, 2), false);
}

static void draw_silent(DRAW)
{
	put_found(p, c, true, h->found.silent, true);
}

static void draw_stale(DRAW)
{
	put_found(p, c, true, h->found.stale, true);
}

static void draw_time_wait(DRAW)
{
	put_found(p, c, true, h->found.time_wait, false);
}

static void draw_syn_recv(DRAW)
{
	put_found(p, c, h->side == FT_ACCEPT, h->found.syn_recv, false);
}

static void draw_drift(DRAW)
{
	if (c->r->scanned)
		ft_pen_printf(p, h->limits.drift ? FT_ATTR_WARN : FT_ATTR_NONE, "%lld",
			      (long long)h->limits.drift);
	else
		ft_put_none(p, c);
}

static const struct ft_column columns[] = {
	{"HOP", true, "a stage of the path; before it: its stock ratio", ft_column_hop, 0},
	{"PLACES", false, "places taken / the configured limit", draw_places, 0},
	{"HELD", false, "taken by the process, but nothing of them read since", draw_held, 0},
	{"OLDEST", false, "how long the first of those has waited", draw_held_oldest, 0},
	{"BACKLOG", false, "waiting for accept() / the listeners' limit", draw_backlog, 0},
	{"PORTS", false, "local ports used / usable, towards the fullest destination", draw_ports,
	 0},
	{"FULL-IN", false, "until no port is left, at the rate of now", draw_exhausted, 0},
	{"FILES", false, "open files / limit, of the process with the least room", draw_files, 0},
	{"IDLE>1s", false, "connections without a byte for 1 s", draw_idle_1s, 0},
	{">75s", false, "the same for 75 s: NGINX closes such", draw_idle_75s, 0},
	{"SILENT", false, "no packet for 350 s: the NLB has forgotten them", draw_silent, 0},
	{"STALE", false, "the peer does not answer any more", draw_stale, 0},
	{"TIMEWAIT", false, "ended, their ports still taken", draw_time_wait, 0},
	{"SYNRECV", false, "handshakes under way", draw_syn_recv, 0},
	{"DRIFT", false, "open by events minus found open; 0 when all is well", draw_drift, 0},
};
const struct ft_pane ft_pane_limits = {"l", "limits", columns,
				       sizeof(columns) / sizeof(columns[0])};
