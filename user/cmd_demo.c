// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fantail demo: the live view over a small chain in a network namespace of its own; with --lab,
 * over the whole service that tests/lab builds, which is a script's work. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The script is found from where this program is: in the source tree, or installed. */
static int find_lab(char exe[PATH_MAX], char ret[PATH_MAX])
{
	static const char *const places[] = {"../share/fantail/scripts/lab", "../scripts/lab"};
	ssize_t len = readlink("/proc/self/exe", exe, PATH_MAX - 1);
	int dir_len;

	if (len < 0)
		return -errno;
	exe[len] = 0;
	dir_len = strrchr(exe, '/') - exe;
	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(ret, PATH_MAX, "%.*s/%s", dir_len, exe, places[i]);

		if (n < PATH_MAX && !access(ret, X_OK))
			return 0;
	}
	return -ENOENT;
}

/* Becomes the script, which runs this same program over its network namespaces. Returns only
 * when it cannot. */
static int lab(const struct ft_options *o)
{
	char exe[PATH_MAX], script[PATH_MAX], interval[16], duration[16];
	char *argv[8] = {script, "demo"};
	int n = 2;

	if (find_lab(exe, script)) {
		ft_log(FT_LOG_ERROR, "the lab is not installed beside this program");
		return FT_EXIT_UNAVAILABLE;
	}
	if (o->interval_ms) {
		snprintf(interval, sizeof(interval), "%ums", o->interval_ms);
		argv[n++] = "--interval";
		argv[n++] = interval;
	}
	if (o->for_ms) {
		snprintf(duration, sizeof(duration), "%ums", o->for_ms);
		argv[n++] = "--for";
		argv[n++] = duration;
	}
	if (o->once)
		argv[n++] = "--once";
	if (setenv("FANTAIL", exe, 1))
		return FT_EXIT_INTERNAL;
	execv(script, argv);
	ft_log(FT_LOG_ERROR, "cannot run %s: %s", script, strerror(errno));
	return FT_EXIT_UNAVAILABLE;
}

int ft_cmd_demo(const struct ft_options *options)
{
	struct ft_options o = *options;
	struct ft_demo d = FT_DEMO_INIT;
	struct ft_loop loop = FT_LOOP_INIT;
	int code = ft_check_privileged(&o), err;

	if (code)
		return code;
	if (o.lab)
		return lab(&o);
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
