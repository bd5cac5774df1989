// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames are built from the report alone and painted whole. When stdout is no terminal, or one
 * that cannot move its cursor, one plain table is printed instead - never an error. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "exit.h"
#include "live.h"
#include "log.h"
#include "term.h"
#include "view.h"

#define BEYOND_THE_END 10000 /* rows */

struct screen {
	struct ft_screen s;
	struct ft_frame frame;
	struct ft_report *report, *shown; /* shown stays while paused */
	uint64_t paused_ns;
};

static void draw(struct screen *c)
{
	ft_term_size(&c->s.width, &c->s.height);
	c->s.paused_seconds = c->s.paused ? (ft_clock_ns(CLOCK_MONOTONIC) - c->paused_ns) / 1e9 : 0;
	ft_view_frame(c->shown, &c->s, &c->frame);
	c->s.scroll = c->frame.scroll; /* keys beyond the end have no effect */
	ft_term_draw(&c->frame);
}

static int refresh(struct ft_live *l, struct screen *c)
{
	int err = l->refresh(l->ctx, c->report);

	if ((!err || err == -ENODATA) && !c->s.paused)
		*c->shown = *c->report;
	return err;
}

static void scroll(struct screen *c, int by)
{
	c->s.scroll = c->s.scroll + by < 0 ? 0 : c->s.scroll + by;
}

/* The same key again leads back. */
static void turn_to(struct screen *c, enum ft_pane_name pane)
{
	c->s.pane = c->s.pane == pane ? FT_PANE_FLOWS : pane;
}

/* false: quit */
static bool key(struct screen *c, enum ft_key k)
{
	switch (k) {
	case FT_KEY_QUIT:
		if (!c->s.help)
			return false;
		c->s.help = false;
		c->s.scroll = 0;
		break;
	case FT_KEY_PAUSE:
		c->s.paused = !c->s.paused;
		c->paused_ns = ft_clock_ns(CLOCK_MONOTONIC);
		break;
	case FT_KEY_FLOWS:
		c->s.pane = FT_PANE_FLOWS;
		break;
	case FT_KEY_LIMITS:
		turn_to(c, FT_PANE_LIMITS);
		break;
	case FT_KEY_USE:
		turn_to(c, FT_PANE_USE);
		break;
	case FT_KEY_NEXT:
		c->s.pane = (c->s.pane + 1) % FT_NPANES;
		break;
	case FT_KEY_HELP:
		c->s.help = !c->s.help;
		c->s.scroll = 0;
		break;
	case FT_KEY_UP:
		scroll(c, -1);
		break;
	case FT_KEY_DOWN:
		scroll(c, 1);
		break;
	case FT_KEY_PGUP:
		scroll(c, -10);
		break;
	case FT_KEY_PGDN:
		scroll(c, 10);
		break;
	case FT_KEY_HOME:
		c->s.scroll = 0;
		break;
	case FT_KEY_END:
		c->s.scroll = BEYOND_THE_END;
		break;
	default:
		break;
	}
	return true;
}

static bool keys(struct screen *c)
{
	enum ft_key k;

	while ((k = ft_term_key()) != FT_KEY_NONE)
		if (!key(c, k))
			return false;
	return true;
}

/* false: the view is over */
static bool handle(struct ft_live *l, struct screen *c, const struct ft_event *e, int *ret_err)
{
	switch (e->kind) {
	case FT_EVENT_DEADLINE:
		return false;
	case FT_EVENT_SIGNAL:
		return e->signo == SIGWINCH || e->signo == SIGHUP ? e->signo == SIGWINCH : false;
	case FT_EVENT_FD:
		return keys(c) && !e->hangup;
	default:
		*ret_err = refresh(l, c);
		return !*ret_err || *ret_err == -ENODATA;
	}
}

static int on_screen(struct ft_live *l, struct ft_loop *loop, struct screen *c)
{
	struct ft_event event;
	int err = ft_loop_set_timer(loop, l->interval_ms);

	if (!err && l->for_ms)
		err = ft_loop_set_deadline(loop, l->for_ms);
	if (!err)
		err = ft_loop_add_fd(loop, STDIN_FILENO);
	c->s.utf8 = ft_term_utf8();
	for (;;) {
		int source = 0;

		c->s.message = l->message;
		draw(c);
		if (!err)
			err = ft_loop_next(loop, &event);
		if (err)
			break;
		if (!handle(l, c, &event, &source)) {
			err = source == -ENODATA ? 0 : source;
			break;
		}
	}
	ft_term_close();
	if (err)
		ft_log(FT_LOG_ERROR, "the view has ended: %s", strerror(-err));
	return err ? FT_EXIT_INTERNAL : FT_EXIT_OK;
}

static int print(const struct ft_report *r)
{
	struct ft_buf text = {0};
	int err;

	ft_view_text(r, FT_SHOW_HOPS, -1, &text);
	err = ft_buf_error(&text);
	fputs(ft_buf_text(&text), stdout);
	ft_buf_close(&text);
	return err ? FT_EXIT_INTERNAL : FT_EXIT_OK;
}

/* Refresh until the deadline (default: one interval, so that there are rates), then print. */
static int plain(struct ft_live *l, struct ft_loop *loop, struct screen *c)
{
	uint32_t wait_ms = l->for_ms ? l->for_ms : l->settle ? 1100 : 0;
	struct ft_event event;
	int err = 0;

	if (wait_ms && !(err = ft_loop_set_timer(loop, l->interval_ms)))
		err = ft_loop_set_deadline(loop, wait_ms);
	while (wait_ms && !err && !(err = ft_loop_next(loop, &event))) {
		if (event.kind == FT_EVENT_DEADLINE)
			break;
		if (event.kind == FT_EVENT_SIGNAL && event.signo != SIGWINCH)
			break;
		if (event.kind == FT_EVENT_TICK)
			err = refresh(l, c);
	}
	if (!err || err == -ENODATA)
		err = refresh(l, c);
	if (err && err != -ENODATA) {
		ft_log(FT_LOG_ERROR, "cannot read the counters: %s", strerror(-err));
		return FT_EXIT_INTERNAL;
	}
	return print(c->shown);
}

int ft_live_run(struct ft_live *l, struct ft_loop *loop)
{
	_free_ struct screen *c = calloc(1, sizeof(*c));
	_free_ struct ft_report *reports = calloc(2, sizeof(*reports));
	int err;

	if (!c || !reports)
		return FT_EXIT_INTERNAL;
	c->report = &reports[0];
	c->shown = &reports[1];
	err = refresh(l, c);
	if (err && err != -ENODATA) {
		ft_log(FT_LOG_ERROR, "cannot read the counters: %s", strerror(-err));
		return FT_EXIT_INTERNAL;
	}
	if (l->once || ft_term_open())
		return plain(l, loop, c);
	return on_screen(l, loop, c);
}
