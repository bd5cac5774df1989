// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The commands that are a few lines each: check, discover, detach. */
#include <errno.h>
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

/* What -c FILE says, without its hops, as options; they point into `file`. Without -c no file is
 * read: discovery must not fail at the one that it is to replace. */
static int take_file(const struct ft_options *o, struct ft_config *file, struct ft_options *ret)
{
	static const char *const scopes[] = {[FT_NETNS_ALL] = "all", [FT_NETNS_OWN] = "own"};
	struct ft_buf errors = {0};
	bool discover;
	int code = 0;

	*ret = *o;
	if (!o->config)
		return 0;
	code = ft_counting_config(o, file, &discover, &errors);
	if (errors.len)
		ft_log(code ? FT_LOG_ERROR : FT_LOG_WARN, "%s", ft_buf_text(&errors));
	ft_buf_close(&errors);
	ret->netns = file->netns == FT_NETNS_PATH ? file->netns_path : scopes[file->netns];
	ret->cgroup = file->cgroup[0] ? file->cgroup : NULL;
	ret->source = file->source_set ? file->source : -1;
	return code;
}

int ft_cmd_discover(const struct ft_options *o)
{
	_free_ struct ft_counting *c = calloc(1, sizeof(*c));
	_free_ struct ft_config *file = calloc(1, sizeof(*file));
	struct ft_buf out = {0};
	struct ft_options taken;
	int code;

	if (!c || !file)
		return FT_EXIT_INTERNAL;
	code = take_file(o, file, &taken);
	if (!code)
		code = ft_counting_start(c, &taken, NULL, "");
	if (code)
		return code;
	if (c->config.source == FT_SOURCE_SOCKOPS)
		ft_log(FT_LOG_WARN, "source sockops does not show what is there already: no hops");
	ft_config_print(&c->config, &out);
	fputs(ft_buf_text(&out), stdout);
	ft_buf_close(&out);
	ft_counting_close(c);
	return FT_EXIT_OK;
}

/* With the lock in hand, so that no agent can begin meanwhile and lose its pins. */
int ft_cmd_detach(const struct ft_options *o)
{
	const char *pins = o->pins ? o->pins : FT_DEFAULT_PINS;
	int agent, lock, n;

	if (geteuid()) {
		ft_log(FT_LOG_ERROR, "not permitted. Run as root: sudo fantail detach");
		return FT_EXIT_PERMISSION;
	}
	lock = ft_lock_take(&agent);
	if (lock == -EBUSY) {
		if (agent)
			ft_log(FT_LOG_ERROR, "an agent is running (pid %d): stop it first: kill %d",
			       agent, agent);
		else
			ft_log(FT_LOG_ERROR, "an agent is running, or about to: stop it first");
		return FT_EXIT_UNAVAILABLE;
	}
	n = ft_probe_unpin(pins);
	if (lock >= 0) /* else nobody can have it: there is no /run to hold it */
		ft_lock_release(lock);
	if (n)
		printf("removed %d objects pinned in %s\n", n, pins);
	else
		printf("nothing is pinned in %s\n", pins);
	return FT_EXIT_OK;
}
