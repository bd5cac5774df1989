/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which process holds which socket, from /proc/PID/fd. SHELL. A walk over every open file of
 * the host: for lists and at start, never periodic. */
#ifndef FT_OWNER_H
#define FT_OWNER_H

#include <stddef.h>
#include <stdint.h>

#include "fantail.h"

struct ft_owner {
	uint64_t inode; /* of the socket */
	uint32_t pid;	/* the lowest that holds it */
	char comm[FT_COMM_LEN];
};

struct ft_owners {
	struct ft_owner *row; /* sorted by inode */
	size_t n, size;
};

int ft_owners_scan(struct ft_owners *ret);					  /* 0 or -errno */
const struct ft_owner *ft_owners_find(const struct ft_owners *o, uint64_t inode); /* or NULL */
void ft_owners_close(struct ft_owners *o);

#endif
