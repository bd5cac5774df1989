/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Network namespaces in use on this host, and how to step into one. SHELL. */
#ifndef FT_NETNS_H
#define FT_NETNS_H

#include <stddef.h>
#include <stdint.h>

struct ft_netns {
	int *fd; /* one per namespace, this process's first; owned */
	uint32_t *inode;
	size_t n;
};

/* Every namespace that a process lives in or that /run/netns names. 0 or -errno. */
int ft_netns_all(struct ft_netns *ret);
/* Only this process's. */
int ft_netns_own(struct ft_netns *ret);
/* Only the one that `path` (/run/netns/NAME, /proc/PID/ns/net) is; -EINVAL: it is none. */
int ft_netns_path(const char *path, struct ft_netns *ret);
const char *ft_netns_error(int err);
void ft_netns_close(struct ft_netns *ns);

/* Run fn(ctx) inside namespace fd and come back. -errno of the step, or fn's value. */
int ft_netns_run(int fd, int (*fn)(void *ctx), void *ctx);

#endif
