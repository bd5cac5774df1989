// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a session needs beside maps: programs that cannot be loaded but can be adopted, and one
 * network namespace. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "fake_maps.h"
#include "netns.h"
#include "privilege.h"
#include "probe.h"
#include "probe_pair.h"

/* --- programs --- */

bool ft_probe_preemptible(void)
{
	return false;
}

void ft_probe_prepare(void)
{
}

int ft_probe_load(struct ft_probe *p, const struct ft_probe_options *o, char *why, size_t why_len)
{
	(void)o;
	*p = (struct ft_probe)FT_PROBE_NONE;
	if (why_len)
		why[0] = 0;
	return -EPERM;
}

void ft_probe_close(struct ft_probe *p)
{
	*p = (struct ft_probe)FT_PROBE_NONE;
}

int ft_probe_pair_load(struct ft_probe_pair *p, int flows, const struct ft_probe_pair_options *o,
		       char *why, size_t why_len)
{
	static const char *const name[FT_NPAIR_MAPS] = {"pair_flows", "pair_edges", "own_threads",
							"own_closed", "own_stats",  "own_totals",
							"own_control"};

	(void)o;
	(void)why;
	(void)why_len;
	*p = (struct ft_probe_pair)FT_PROBE_PAIR_NONE;
	for (int i = 0; i < FT_NPAIR_MAPS; i++)
		p->map[i] = fake_map_own(name[i]);
	p->flows = flows;
	p->ncpus = (int)fake_cpus();
	p->skeleton = p; /* any: it is there */
	return 0;
}

int ft_probe_pair_set(struct ft_probe_pair *p, const struct ft_pair_control *plan)
{
	p->plan = *plan;
	return 0;
}

int ft_probe_pair_keep_closed(struct ft_probe_pair *p, uint32_t hop, bool keep)
{
	FUZZ_CHECK(hop < FT_MAX_HOPS, "hop %u", hop);
	p->plan.hop[hop].keep_closed = keep;
	return 0;
}

void ft_probe_pair_close(struct ft_probe_pair *p)
{
	free(p->suspect);
	*p = (struct ft_probe_pair)FT_PROBE_PAIR_NONE;
}

/* --- check.c: none of it is asked for here --- */

int ft_check_explain(const struct ft_options *o, const char *why)
{
	(void)o;
	(void)why;
	return 69;
}

int ft_check_cgroup2(char *ret, int size)
{
	(void)ret;
	(void)size;
	return -ENOENT;
}

/* --- privilege.c --- */

void ft_privilege_raise(void)
{
}

void ft_privilege_lower(void)
{
}

/* --- namespaces --- */

int ft_netns_own(struct ft_netns *ret)
{
	ret->fd = malloc(sizeof(*ret->fd));
	ret->inode = malloc(sizeof(*ret->inode));
	if (!ret->fd || !ret->inode)
		abort();
	ret->fd[0] = -1;
	ret->inode[0] = 4026531840U;
	ret->n = 1;
	return 0;
}

int ft_netns_all(struct ft_netns *ret)
{
	return ft_netns_own(ret);
}

int ft_netns_path(const char *path, struct ft_netns *ret)
{
	(void)path;
	return ft_netns_own(ret);
}

const char *ft_netns_error(int err)
{
	(void)err;
	return "";
}

void ft_netns_close(struct ft_netns *ns)
{
	free(ns->fd);
	free(ns->inode);
	*ns = (struct ft_netns){0};
}

int ft_netns_run(int fd, int (*fn)(void *ctx), void *ctx)
{
	(void)fd;
	return fn(ctx);
}
