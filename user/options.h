/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line. One table gives parsing, --help and the check of the man page. */
#ifndef FT_OPTIONS_H
#define FT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "fantail.h"

enum ft_command {
	FT_CMD_TOP,
	FT_CMD_AGENT,
	FT_CMD_SHOW,
	FT_CMD_DISCOVER,
	FT_CMD_CHECK,
	FT_CMD_DEMO,
	FT_CMD_RECORD,
	FT_CMD_DETACH,
	FT_CMD_VERSION,
	FT_CMD_HELP,
	FT_NCOMMANDS
};

struct ft_options {
	enum ft_command command;
	const char *argument; /* show WHAT, record FILE; NULL none */
	const char *config, *textfile, *cgroup, *netns, *hop, *sort, *replay, *pins;
	uint32_t interval_ms, for_ms; /* 0: not given */
	uint32_t max_flows;	      /* 0: not given */
	uint32_t limit;		      /* rows; 0: all */
	int source;		      /* enum ft_source; -1 not given */
	bool json, once, keep, lab, help;
	int verbosity;
};

/*
 * argv of main(). 0, or -EINVAL with one line for the user in why. Strings in *ret point
 * into argv.
 */
int ft_options_parse(int argc, char **argv, struct ft_options *ret, char *why, size_t why_len);

/* The text of `fantail help` (FT_NCOMMANDS), or of `fantail COMMAND --help`. */
void ft_options_help(enum ft_command command, struct ft_buf *out);

const char *ft_command_name(enum ft_command c);

#endif
