// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The commands that are a few lines each: check, discover, detach. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"
#include "cmd.h"
#include "counting.h"
#include "exit.h"
#include "lock.h"
#include "log.h"

int ft_cmd_check(const struct ft_options *o)
{
	return ft_check_all(o);
}

int ft_cmd_discover(const struct ft_options *o)
{
	_free_ struct ft_counting *c = calloc(1, sizeof(*c));
	struct ft_buf out = {0};
	int code;

	if (!c)
		return FT_EXIT_INTERNAL;
	code = ft_counting_start(c, o, NULL, "");
	if (code)
		return code;
	ft_config_print(&c->config, &out);
	fputs(ft_buf_text(&out), stdout);
	ft_buf_close(&out);
	ft_counting_close(c);
	return FT_EXIT_OK;
}

int ft_cmd_detach(const struct ft_options *o)
{
	const char *pins = o->pins ? o->pins : FT_DEFAULT_PINS;
	int agent = ft_lock_holder(), n;

	if (geteuid()) {
		ft_log(FT_LOG_ERROR, "not permitted. Run as root: sudo fantail detach");
		return FT_EXIT_PERMISSION;
	}
	if (agent) {
		ft_log(FT_LOG_ERROR, "an agent is running (pid %d): stop it first: kill %d", agent,
		       agent);
		return FT_EXIT_UNAVAILABLE;
	}
	n = ft_probe_unpin(pins);
	if (n)
		printf("removed %d objects pinned in %s\n", n, pins);
	else
		printf("nothing is pinned in %s\n", pins);
	return FT_EXIT_OK;
}
