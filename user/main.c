// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fantail: counts TCP connections per hop in the kernel, and says how many backend flows each
 * client connection costs. This file only dispatches. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "buf.h"
#include "cmd.h"
#include "exit.h"
#include "log.h"
#include "options.h"

static int help(enum ft_command c)
{
	struct ft_buf text = {0};

	ft_options_help(c, &text);
	fputs(ft_buf_text(&text), stdout);
	ft_buf_close(&text);
	return FT_EXIT_OK;
}

static int version(void)
{
	puts("fantail " FT_VERSION);
	return FT_EXIT_OK;
}

static int run(const struct ft_options *o)
{
	switch (o->command) {
	case FT_CMD_TOP:
		return ft_cmd_top(o);
	case FT_CMD_AGENT:
		return ft_cmd_agent(o);
	case FT_CMD_SHOW:
		return ft_cmd_show(o);
	case FT_CMD_DISCOVER:
		return ft_cmd_discover(o);
	case FT_CMD_CHECK:
		return ft_cmd_check(o);
	case FT_CMD_DEMO:
		return ft_cmd_demo(o);
	case FT_CMD_RECORD:
		return ft_cmd_record(o);
	case FT_CMD_DETACH:
		return ft_cmd_detach(o);
	case FT_CMD_VERSION:
		return version();
	default:
		return help(FT_NCOMMANDS);
	}
}

/* Whether everything that was printed also arrived: a full disk is no success. */
static int flushed(int code)
{
	if (fflush(stdout) || ferror(stdout)) {
		ft_log(FT_LOG_ERROR, "cannot write to standard output");
		return code ? code : FT_EXIT_CANNOT_WRITE;
	}
	return code;
}

/* A closed 0, 1 or 2 would become the number of the next file that is opened, and what is said
 * would go there: into the lock, or a map. Not for writing, so that it still cannot be said. */
static void fill_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct ft_options o;
	char why[160];

	fill_standard_files();
	if (ft_options_parse(argc, argv, &o, why, sizeof(why))) {
		ft_log(FT_LOG_ERROR, "%s", why);
		return FT_EXIT_USAGE;
	}
	ft_log_set_verbosity(o.verbosity);
	signal(SIGXFSZ, SIG_IGN); /* a file's limit is a failed write, like a full disk */
	if (o.help)
		return flushed(
			help(o.command == FT_CMD_TOP && argc < 3 ? FT_NCOMMANDS : o.command));
	return flushed(run(&o));
}
