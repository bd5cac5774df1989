/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the checks share. Nobody else includes it. */
#ifndef FT_CHECK_INTERNAL_H
#define FT_CHECK_INTERNAL_H

#include <stdbool.h>

#include "buf.h"
#include "check.h"

enum status { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct result {
	char text[768], remedy[768];
	struct ft_buf lines; /* below the text; owned */
	int code;	     /* when it fails; 0: that of its row */
};

#define SAY(r, ...)    snprintf((r)->text, sizeof((r)->text), __VA_ARGS__)
#define REMEDY(r, ...) snprintf((r)->remedy, sizeof((r)->remedy), __VA_ARGS__)

/* What the options and the configuration together ask for; the defaults if that is wrong. */
struct ft_check_wanted {
	bool sockops, pairs;
	bool source_set;	  /* somebody said which source */
	char cgroup[FT_PATH_LEN]; /* "" none */
	char netns[FT_PATH_LEN];  /* the path of the only one; "" none */
};
struct ft_check_wanted ft_check_wanted(const struct ft_options *o);

/* check_programs.c: load them all, and take them away again. */
enum status ft_check_programs(const struct ft_options *o, struct result *r);
enum status ft_check_pairs(const struct ft_options *o, struct result *r);

#endif
