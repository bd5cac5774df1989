/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which process holds which socket, from /proc/PID/fd or from rows of the kernel's. SHELL. A walk
 * over every open file of the host: for lists and at start, never periodic. */
#ifndef FT_OWNER_H
#define FT_OWNER_H

#include <stddef.h>
#include <stdint.h>

#include "fantail.h"

struct ft_owners {
	struct ft_owner *row; /* sorted by inode, then by pid */
	size_t n, size;
};

/* From /proc; what this process may not see there is left out. 0 or -errno. */
int ft_owners_scan(struct ft_owners *ret);
/* From malloc'ed rows in any order, which are ret's from now on. */
void ft_owners_take(struct ft_owner *row, size_t n, struct ft_owners *ret);
/* The lowest pid that holds it, or NULL. */
const struct ft_owner *ft_owners_find(const struct ft_owners *o, uint64_t inode);
void ft_owners_close(struct ft_owners *o);

#endif
