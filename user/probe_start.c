// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The first look at what was there before. The order is the point: programs are enabled first, then
 * owners are looked up, then the walk inserts what has no entry - so every flow is either seen
 * opening or found, and none is both. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "owner.h"
#include "probe_internal.h"

static int set_phase(const struct ft_probe *p, enum ft_phase phase)
{
	struct ft_control control;
	int err = ft_probe_get_control(p, &control);

	control.phase = phase;
	return err ? err : ft_probe_set_control(p, &control);
}

/* As in bpf/scan.bpf.h. */
struct owner_value {
	char comm[FT_COMM_LEN];
	uint32_t pid, pad;
};

static int put_owners(struct ft_probe *p, const struct ft_sock_row *row, size_t n,
		      const struct ft_owners *owners)
{
	for (size_t i = 0; i < n; i++) {
		const struct ft_owner *o = ft_owners_find(owners, row[i].inode);
		struct owner_value v = {0};

		if (!o)
			continue;
		v.pid = o->pid;
		memcpy(v.comm, o->comm, sizeof(v.comm));
		if (bpf_map_update_elem(p->map[FT_MAP_OWNERS], &row[i].key, &v, BPF_ANY)) {
			if (errno != E2BIG)
				return -errno;
			ft_log(FT_LOG_WARN, "more open sockets than max_flows has room for: some "
					    "flows that were open before stay unknown");
			return 0;
		}
	}
	return 0;
}

static void drop_owners(struct ft_probe *p, const struct ft_sock_row *row, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bpf_map_delete_elem(p->map[FT_MAP_OWNERS], &row[i].key);
}

static int fill_with_owners(struct ft_probe *p, const int *nsfd, size_t n)
{
	_free_ struct ft_sock_row *row = NULL;
	struct ft_owners owners = {0};
	size_t nrows = 0;
	int err = ft_probe_dump(p, nsfd, n, &row, &nrows);

	if (!err)
		err = ft_probe_owners(p, &owners);
	if (!err)
		err = put_owners(p, row, nrows, &owners);
	if (!err)
		err = ft_probe_walk(p, nsfd, n);
	drop_owners(p, row, nrows);
	ft_owners_close(&owners);
	return err;
}

int ft_probe_fill(struct ft_probe *p, const int *nsfd, size_t n)
{
	int err = set_phase(p, FT_PHASE_FILL), phase_err;

	if (!err && p->link[FT_LINK_DUMP] >= 0)
		err = fill_with_owners(p, nsfd, n);
	phase_err = set_phase(p, FT_PHASE_COUNT);
	return err ? err : phase_err;
}

int ft_probe_start(struct ft_probe *p, const int *nsfd, size_t n, bool need_owners)
{
	int err = set_phase(p, FT_PHASE_FILL);

	if (!err && p->link[FT_LINK_WALK] >= 0) {
		/* A transition that was under way when we enabled must be complete, or the walk
		 * could see the state before it: wait until every CPU has left what it did. */
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		err = need_owners ? fill_with_owners(p, nsfd, n) : ft_probe_walk(p, nsfd, n);
	}
	return err ? err : set_phase(p, FT_PHASE_COUNT);
}
