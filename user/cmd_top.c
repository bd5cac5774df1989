// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fantail top: the running agent's counters if there is an agent, else a session of its own, or
 * a recording. Three sources, one view. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "cleanup.h"
#include "cmd.h"
#include "counting.h"
#include "exit.h"
#include "live.h"
#include "log.h"
#include "replay.h"

/* --- the agent's counters --- */

struct viewer {
	struct ft_probe probe;
	struct ft_snapshot snapshot;
	struct ft_history history;
};

static int view_agent(void *ctx, struct ft_report *r)
{
	struct viewer *v = ctx;
	int err = ft_probe_snapshot(&v->probe, &v->snapshot);

	if (!err)
		err = ft_probe_get_history(&v->probe, &v->history);
	if (err)
		return err;
	v->snapshot.counting = ft_check_agent() > 0;
	if (v->snapshot.nhops)
		ft_probe_peers(&v->probe, v->snapshot.nhops, v->snapshot.peers);
	ft_model_build(&v->snapshot, &v->history, r);
	return 0;
}

static int top_agent(struct ft_live *l, struct ft_loop *loop, struct viewer *v)
{
	l->refresh = view_agent;
	l->ctx = v;
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
	l->message = "no agent: counting for this view only";
	code = ft_live_run(l, loop);
	ft_counting_close(c);
	return code;
}

static int top_live(struct ft_live *l, struct ft_loop *loop, const struct ft_options *o)
{
	_free_ struct viewer *v = calloc(1, sizeof(*v));
	bool scoped = o->netns || o->cgroup || o->source >= 0 || o->config;
	int code;

	if (!v)
		return FT_EXIT_INTERNAL;
	code = scoped && !o->pins ? FT_EXIT_UNAVAILABLE : ft_cmd_open_agent(o, &v->probe, true);
	if (code == FT_EXIT_PERMISSION)
		return code;
	code = code ? top_alone(l, loop, o) : top_agent(l, loop, v);
	ft_probe_close(&v->probe);
	return code;
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
