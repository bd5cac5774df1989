/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The story that fantail was written for, as real traffic in a network namespace of its own:
 * one client keeps one connection, and the gateway behind it opens 1, 2 … 6 for it, one more
 * every 3 seconds, and starts again every 20. Behind it: a connection queue, NGINX, a Node
 * app with a pool, MySQL - small relays with those names (demo_chain.c). */
#ifndef FT_DEMO_H
#define FT_DEMO_H

#include <sys/types.h>

struct ft_demo {
	pid_t pid;	/* the chain's leader, the parent of its processes; -1 none */
	int netns_fd;	/* its network namespace, owned; -1 none */
	char netns[32]; /* "/proc/PID/ns/net": the same, as a path, until it is stopped */
};
#define FT_DEMO_INIT                                                                               \
	{                                                                                          \
		.pid = -1, .netns_fd = -1                                                          \
	}

/* Start the chain and wait until all of it listens. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
 * 0, or -errno with the reason logged and nothing left running. The chain dies with the thread
 * that started it, and inherits none of the caller's files. */
int ft_demo_start(struct ft_demo *d);

/* End and reap the chain. Idempotent; NULL-safe. */
void ft_demo_stop(struct ft_demo *d);

/* The configuration text (libconfig) of the chain's hops. */
const char *ft_demo_hops(void);

/* demo_chain.c, for the leader: start all processes, back to front; each listens before the
 * next one starts. 0, or -errno with what it was about in *ret_what (static). And end them. */
int ft_demo_chain_start(const char **ret_what);
void ft_demo_chain_end(void);

#endif
