// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fantail demo: the live view over a small chain in a network namespace of its own. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cleanup.h"
#include "cmd.h"
#include "counting.h"
#include "demo.h"
#include "exit.h"
#include "live.h"
#include "log.h"

static int demo(struct ft_options *o, struct ft_loop *loop, const struct ft_demo *d)
{
	_free_ struct ft_counting *c = calloc(1, sizeof(*c));
	struct ft_live l = {
		.refresh = ft_cmd_refresh_counting,
		.ctx = c,
		.interval_ms = o->interval_ms ? o->interval_ms : 1000,
		.for_ms = o->for_ms,
		.once = o->once,
		.settle = true,
		.message = "demo: one client connection; every 3 s the gateway opens one flow more "
			   "for it",
	};
	int code;

	if (!c)
		return FT_EXIT_INTERNAL;
	o->netns = d->netns;
	code = ft_counting_start(c, o, NULL, ft_demo_hops());
	if (code)
		return code;
	code = ft_live_run(&l, loop);
	ft_counting_close(c);
	return code;
}

int ft_cmd_demo(const struct ft_options *options)
{
	struct ft_options o = *options;
	struct ft_demo d = FT_DEMO_INIT;
	struct ft_loop loop = FT_LOOP_INIT;
	int code = ft_check_privileged(&o), err;

	if (code)
		return code;
	err = ft_loop_init(&loop);
	if (err) {
		ft_log(FT_LOG_ERROR, "cannot wait for events: %s", strerror(-err));
		return FT_EXIT_INTERNAL;
	}
	if (ft_demo_start(&d))
		code = FT_EXIT_PERMISSION; /* said why */
	else
		code = demo(&o, &loop, &d);
	ft_demo_stop(&d);
	ft_loop_close(&loop);
	return code;
}
