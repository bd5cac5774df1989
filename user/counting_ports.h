/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of a session that forgets ports which had a listener. SHELL. */
#ifndef FT_COUNTING_PORTS_H
#define FT_COUNTING_PORTS_H

#include "counting.h"

/* Forget the ports that had no listener and no accepted flow now and the last time this was
 * called. Reads the tables of ports, listeners and flows. At least FT_PORTS_IDLE_NS must lie
 * between two calls: longer than a connection stays in FIN_WAIT2 or TIME_WAIT, 60 s each. */
#define FT_PORTS_IDLE_NS 150000000000ULL
void ft_counting_forget_ports(struct ft_counting *c);

#endif
