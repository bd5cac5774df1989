/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the probe share. Nobody else includes it. */
#ifndef FT_PROBE_INTERNAL_H
#define FT_PROBE_INTERNAL_H

#include "probe.h"

/* The programs' switches, whole. 0 or -errno. */
int ft_probe_get_control(const struct ft_probe *p, struct ft_control *ret);
int ft_probe_set_control(const struct ft_probe *p, const struct ft_control *c);

/* Run the walk (ft_walk) in every namespace, n = 0: in this process's. A namespace that may not
 * be entered is left out, and said once. */
int ft_probe_walk(const struct ft_probe *p, const int *nsfd, size_t n);

#endif
