/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What fantail needs of this host, one check each; `fantail check` prints them all, a start-up
 * that failed prints the first that explains it. SHELL. */
#ifndef FT_CHECK_H
#define FT_CHECK_H

#include <stdbool.h>

#include "options.h"

/* Print every check to stdout. Returns the exit code of the worst. */
int ft_check_all(const struct ft_options *o);

/* After the programs could not be loaded or attached: log the check that explains it with its
 * remedy, or `why` if none does. Returns the exit code. */
int ft_check_explain(const struct ft_options *o, const char *why);

/* 0, or 77 after naming the capabilities that are missing. */
int ft_check_privileged(const struct ft_options *o);

/* The directory where cgroup2 is mounted, from /proc/self/mountinfo. -ENOENT: nowhere. */
int ft_check_cgroup2(char *ret, int size);

#endif
