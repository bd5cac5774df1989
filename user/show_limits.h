/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fantail show listeners, fantail show ports: the lists of the last scan. SHELL. */
#ifndef FT_SHOW_LIMITS_H
#define FT_SHOW_LIMITS_H

#include "options.h"
#include "probe.h"
#include "report.h"

/* place: only the rows of the hop there; -1 all. Return the exit code. */
int ft_show_listeners(const struct ft_options *o, const struct ft_probe *p,
		      const struct ft_report *r, int place);
int ft_show_ports(const struct ft_options *o, const struct ft_probe *p, const struct ft_report *r,
		  int place);

#endif
