// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Telling the kernel the hops, and the first look at what was there before. The order is the
 * point: programs are enabled first, then owners are looked up, then the walk inserts what
 * has no entry - so every flow is either seen opening or found, and none is both. */
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

static bool names_process(const struct ft_rules *r, enum ft_side side)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (r->rule[i].side == side && (r->rule[i].flags & FT_RULE_COMM))
			return true;
	return false;
}

/* Write the table that is not in force, then switch. */
static int set_rules(struct ft_probe *p, const struct ft_rules *rules)
{
	_free_ struct ft_rules *both = malloc(2 * sizeof(*both));
	struct ft_control control;
	uint32_t zero = 0;
	int err = ft_probe_get_control(p, &control);

	if (!both)
		return -ENOMEM;
	if (err)
		return err;
	if (bpf_map_lookup_elem(p->map[FT_MAP_RULES], &zero, both))
		return -errno;
	control.table = !control.table;
	/* Flows that are open now may belong to a new hop: ft_probe_fill() looks for them. */
	if (control.phase == FT_PHASE_COUNT) {
		control.phase = FT_PHASE_FILL;
		control.first_new = p->meta.nhops;
	}
	both[control.table] = *rules;
	if (bpf_map_update_elem(p->map[FT_MAP_RULES], &zero, both, BPF_ANY))
		return -errno;
	control.accept_comm = names_process(rules, FT_ACCEPT);
	control.connect_comm = names_process(rules, FT_CONNECT);
	return ft_probe_set_control(p, &control);
}

int ft_probe_set_hops(struct ft_probe *p, const struct ft_config *c)
{
	_free_ struct ft_hop_def *def = calloc(FT_MAX_HOPS, sizeof(*def));
	_free_ struct ft_rules *rules = calloc(1, sizeof(*rules));
	uint32_t zero = 0;
	int err;

	if (!def || !rules)
		return -ENOMEM;
	err = ft_config_compile(c, def, rules);
	if (err)
		return err;
	for (uint32_t i = 0; i < c->nhops; i++)
		if (bpf_map_update_elem(p->map[FT_MAP_HOPS], &i, &def[i], BPF_ANY))
			return -errno;
	err = set_rules(p, rules);
	if (err)
		return err;
	p->meta.nhops = c->nhops;
	return bpf_map_update_elem(p->map[FT_MAP_META], &zero, &p->meta, BPF_ANY) ? -errno : 0;
}

int ft_probe_set_process(struct ft_probe *p, uint32_t hop, const char *process)
{
	struct ft_hop_def def;

	if (bpf_map_lookup_elem(p->map[FT_MAP_HOPS], &hop, &def))
		return -errno;
	memset(def.process, 0, sizeof(def.process));
	memcpy(def.process, process, strnlen(process, sizeof(def.process) - 1));
	return bpf_map_update_elem(p->map[FT_MAP_HOPS], &hop, &def, BPF_ANY) ? -errno : 0;
}

enum ft_phase ft_probe_phase(const struct ft_probe *p)
{
	struct ft_control control;

	return ft_probe_get_control(p, &control) ? FT_PHASE_OFF : control.phase;
}

void ft_probe_set_no_room(struct ft_probe *p, uint32_t hops)
{
	uint32_t zero = 0;

	if (p->meta.no_rule_slot == hops)
		return;
	p->meta.no_rule_slot = hops;
	bpf_map_update_elem(p->map[FT_MAP_META], &zero, &p->meta, BPF_ANY);
}

bool ft_probe_has_netns(const struct ft_probe *p, uint32_t netns)
{
	struct ft_control control;

	return !ft_probe_get_control(p, &control) && control.netns == netns;
}

bool ft_probe_same_rules(const struct ft_probe *p, const struct ft_rules *rules)
{
	_free_ struct ft_rules *both = malloc(2 * sizeof(*both));
	struct ft_control control;
	uint32_t zero = 0;

	return both && !ft_probe_get_control(p, &control) &&
	       !bpf_map_lookup_elem(p->map[FT_MAP_RULES], &zero, both) &&
	       !memcmp(&both[control.table & 1], rules, sizeof(*rules));
}

int ft_probe_take_over(struct ft_probe *p, uint32_t interval_ms)
{
	uint32_t zero = 0;

	p->meta.pid = getpid();
	p->meta.interval_ms = interval_ms;
	return bpf_map_update_elem(p->map[FT_MAP_META], &zero, &p->meta, BPF_ANY) ? -errno : 0;
}

/* --- what was open before --- */

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
		err = ft_owners_scan(&owners);
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
