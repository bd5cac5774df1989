// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fantail top: the running agent's counters if there is an agent, else a session of its own, or
 * a recording. Three sources, one view. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "cmd.h"
#include "counting.h"
#include "exit.h"
#include "live.h"
#include "lock.h"
#include "log.h"
#include "replay.h"

/* --- the agent's counters --- */

struct viewer {
	const struct ft_options *options;
	struct ft_live *live;
	struct ft_snapshot snapshot;
	struct ft_history history;
	struct ft_cmd_agent_reader reader;
};

bool ft_cmd_scoped(const struct ft_options *o)
{
	return !o->pins && (o->netns || o->cgroup || o->source >= 0 || o->config);
}

static void count_peers(struct ft_cmd_agent_reader *reader, const struct ft_probe *p,
			struct ft_snapshot *s)
{
	uint64_t began = ft_clock_ns(CLOCK_MONOTONIC);

	if (began >= reader->peers_due_ns) {
		if (ft_probe_peers(p, s->nhops, reader->peers))
			return;
		reader->peers_due_ns = began + 100 * (ft_clock_ns(CLOCK_MONOTONIC) - began);
	}
	memcpy(s->peers, reader->peers, sizeof(reader->peers));
}

int ft_cmd_read_agent(const struct ft_options *o, struct ft_cmd_agent_reader *reader,
		      struct ft_snapshot *ret, struct ft_history *history)
{
	struct ft_probe p = FT_PROBE_NONE;
	char why[128];
	int err = ft_probe_open(&p, o->pins ? o->pins : FT_DEFAULT_PINS, why, sizeof(why));

	if (!err)
		err = ft_probe_snapshot(&p, ret);
	if (!err && history)
		err = ft_probe_get_history(&p, history);
	if (!err)
		count_peers(reader, &p, ret);
	ft_probe_close(&p);
	if (!err)
		ret->counting = ft_lock_holder() > 0; /* else: the kernel counts alone */
	return err;
}

static int view_agent(void *ctx, struct ft_report *r)
{
	struct viewer *v = ctx;
	int err = ft_cmd_read_agent(v->options, &v->reader, &v->snapshot, &v->history);

	if (err && !v->snapshot.nhops)
		return err;
	v->live->message = err ? "the agent was stopped: these are its last numbers" : NULL;
	if (err)
		v->snapshot.counting = 1; /* not even the kernel counts: the message says it */
	ft_model_build(&v->snapshot, &v->history, r);
	return 0;
}

static int top_agent(struct ft_live *l, struct ft_loop *loop, struct viewer *v)
{
	l->refresh = view_agent;
	l->ctx = v;
	v->live = l;
	return ft_live_run(l, loop);
}

/* --- a session of our own --- */

int ft_cmd_refresh_counting(void *ctx, struct ft_report *r)
{
	struct ft_counting *c = ctx;
	int err = ft_counting_tick(c);

	if (!err)
		ft_counting_report(c, r);
	return err;
}

static int top_alone(struct ft_live *l, struct ft_loop *loop, const struct ft_options *o)
{
	_free_ struct ft_counting *c = calloc(1, sizeof(*c));
	int code = c ? ft_counting_start(c, o, NULL, NULL) : FT_EXIT_INTERNAL;

	if (code)
		return code;
	l->refresh = ft_cmd_refresh_counting;
	l->ctx = c;
	l->settle = true;
	l->message = ft_cmd_scoped(o)
			     ? "the options give a scope of their own: counting for this view only"
			     : "no agent: counting for this view only";
	code = ft_live_run(l, loop);
	ft_counting_close(c);
	return code;
}

static int top_live(struct ft_live *l, struct ft_loop *loop, const struct ft_options *o)
{
	_free_ struct viewer *v = calloc(1, sizeof(*v));
	struct ft_probe p = FT_PROBE_NONE;
	int code;

	if (!v)
		return FT_EXIT_INTERNAL;
	v->options = o;
	code = ft_cmd_scoped(o) ? FT_EXIT_UNAVAILABLE : ft_cmd_open_agent(o, &p, true);
	ft_probe_close(&p);
	if (code == FT_EXIT_PERMISSION)
		return code;
	return code ? top_alone(l, loop, o) : top_agent(l, loop, v);
}

/* --- a recording --- */

static int top_replay(struct ft_live *l, struct ft_loop *loop, const struct ft_options *o)
{
	_free_ struct ft_replay *r = calloc(1, sizeof(*r));
	int code = r ? ft_replay_open(r, o->replay, o->once) : FT_EXIT_INTERNAL;

	if (code)
		return code;
	l->refresh = ft_replay_refresh;
	l->ctx = r;
	l->message = "recording";
	code = ft_live_run(l, loop);
	if (!code && r->bad)
		code = FT_EXIT_CONFIG;
	ft_replay_close(r);
	return code;
}

int ft_cmd_top(const struct ft_options *o)
{
	struct ft_live l = {
		.interval_ms = o->interval_ms ? o->interval_ms : 1000,
		.for_ms = o->for_ms,
		.once = o->once,
	};
	struct ft_loop loop = FT_LOOP_INIT;
	int code, err = ft_loop_init(&loop);

	if (err) {
		ft_log(FT_LOG_ERROR, "cannot wait for events: %s", strerror(-err));
		return FT_EXIT_INTERNAL;
	}
	code = o->replay ? top_replay(&l, &loop, o) : top_live(&l, &loop, o);
	ft_loop_close(&loop);
	return code;
}
