// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fantail record: one snapshot per interval into a file, of the agent's counters or our own. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmd.h"
#include "counting.h"
#include "exit.h"
#include "log.h"
#include "loop.h"

struct recorder {
	const struct ft_options *options;
	struct ft_counting counting;
	struct ft_snapshot snapshot;
	struct ft_cmd_agent_reader reader;
	bool alone;
	bool gone; /* the agent; and it was said */
	FILE *file;
};

/* An agent that stops leaves a gap: what it counted is over, and the next one begins anew. */
static int read_agent(struct recorder *r)
{
	int err = ft_cmd_read_agent(r->options, &r->reader, &r->snapshot, NULL);
	bool gone = err == -ENOENT || err == -ESTALE;

	if (gone && !r->gone)
		ft_log(FT_LOG_WARN,
		       "the agent was stopped: the recording goes on when the next one counts");
	r->gone = gone;
	return err;
}

static int write_one(struct recorder *r)
{
	const struct ft_snapshot *s = r->alone ? &r->counting.snapshot : &r->snapshot;
	_free_ char *text = NULL;
	int err = r->alone ? ft_counting_tick(&r->counting) : read_agent(r);

	if (err)
		return r->gone ? 0 : err;
	text = ft_snapshot_to_json(s);
	if (!text)
		return -ENOMEM;
	return fprintf(r->file, "%s\n", text) < 0 || fflush(r->file) ? -errno : 0;
}

static int record(struct recorder *r, struct ft_loop *loop, const struct ft_options *o)
{
	struct ft_event event = {0};
	int err = ft_loop_set_timer(loop, o->interval_ms ? o->interval_ms : 1000);

	if (!err && o->for_ms)
		err = ft_loop_set_deadline(loop, o->for_ms);
	if (!err)
		err = write_one(r);
	while (!err && !(err = ft_loop_next(loop, &event))) {
		if (event.kind == FT_EVENT_TICK)
			err = write_one(r);
		else if (event.kind == FT_EVENT_DEADLINE || event.signo != SIGWINCH)
			break;
	}
	if (err)
		ft_log(FT_LOG_ERROR, "cannot record to %s: %s", o->argument, strerror(-err));
	return err ? FT_EXIT_CANNOT_WRITE : FT_EXIT_OK;
}

static int open_source(struct recorder *r, const struct ft_options *o)
{
	struct ft_probe agent = FT_PROBE_NONE;
	int code = ft_cmd_scoped(o) ? FT_EXIT_UNAVAILABLE : ft_cmd_open_agent(o, &agent, true);

	ft_probe_close(&agent);
	if (code != FT_EXIT_UNAVAILABLE)
		return code;
	r->alone = true;
	return ft_counting_start(&r->counting, o, NULL, NULL);
}

int ft_cmd_record(const struct ft_options *o)
{
	_free_ struct recorder *r = calloc(1, sizeof(*r));
	struct ft_loop loop = FT_LOOP_INIT;
	int code;

	if (!r || ft_loop_init(&loop))
		return FT_EXIT_INTERNAL;
	r->options = o;
	r->counting.probe = (struct ft_probe)FT_PROBE_NONE;
	code = open_source(r, o); /* first: what cannot be recorded must not empty the file */
	if (!code && !(r->file = fopen(o->argument, "we"))) {
		ft_log(FT_LOG_ERROR, "%s: %s", o->argument, strerror(errno));
		code = FT_EXIT_CANNOT_WRITE;
	}
	if (!code)
		code = record(r, &loop, o);
	if (r->file && fclose(r->file) && !code) {
		ft_log(FT_LOG_ERROR, "%s: %s", o->argument, strerror(errno));
		code = FT_EXIT_CANNOT_WRITE;
	}
	ft_counting_close(&r->counting);
	ft_loop_close(&loop);
	return code;
}
