// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Telling the kernel the hops. There are two tables of rules, so that a flow is matched by the old
 * ones or by the new ones, never by a mixture. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "probe_internal.h"

static bool names_process(const struct ft_rules *r, enum ft_side side)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (r->rule[i].side == side && (r->rule[i].flags & FT_RULE_COMM))
			return true;
	return false;
}

/* Whether hop i has the same rules, in the same order, in both. */
static bool same_rules_of(const struct ft_rules *a, const struct ft_rules *b, uint32_t hop)
{
	uint32_t i = 0, j = 0;

	for (;;) {
		while (i < a->count && a->rule[i].hop != hop)
			i++;
		while (j < b->count && b->rule[j].hop != hop)
			j++;
		if (i >= a->count || j >= b->count)
			return i >= a->count && j >= b->count;
		if (memcmp(&a->rule[i++], &b->rule[j++], sizeof(a->rule[0])))
			return false;
	}
}

/* Hops some of whose flows were not counted until now. */
static uint64_t find_fresh(struct ft_rules *old, uint32_t nold, const struct ft_rules *new,
			   uint32_t n)
{
	uint64_t fresh = 0;

	if (old->count > FT_MAX_RULES) /* whoever wrote it */
		old->count = FT_MAX_RULES;
	for (uint32_t i = 0; i < n; i++)
		if (i >= nold || !same_rules_of(old, new, i))
			fresh |= 1ULL << i;
	return fresh;
}

/* Write the table that is not in force, then switch. */
static int set_rules(struct ft_probe *p, const struct ft_rules *rules, uint32_t nhops,
		     uint64_t retired, uint64_t *ret_fresh)
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
	*ret_fresh = find_fresh(&both[control.table & 1], p->meta.nhops, rules, nhops);
	/* Flows that are open now may belong to a fresh hop: ft_probe_fill() looks for them. */
	if (control.phase == FT_PHASE_COUNT) {
		control.phase = FT_PHASE_FILL;
		control.fresh = 0;
	}
	control.fresh |= *ret_fresh;
	control.retired = retired;
	control.table = !(control.table & 1);
	both[control.table] = *rules;
	if (bpf_map_update_elem(p->map[FT_MAP_RULES], &zero, both, BPF_ANY))
		return -errno;
	control.accept_comm = names_process(rules, FT_ACCEPT);
	control.connect_comm = names_process(rules, FT_CONNECT);
	return ft_probe_set_control(p, &control);
}

/* An owner that was found stays known while the hop stays the same. */
static int set_def(const struct ft_probe *p, uint32_t hop, struct ft_hop_def *def, bool fresh)
{
	struct ft_hop_def old;

	if (!fresh && !def->process[0] && !bpf_map_lookup_elem(p->map[FT_MAP_HOPS], &hop, &old))
		memcpy(def->process, old.process, sizeof(def->process));
	return bpf_map_update_elem(p->map[FT_MAP_HOPS], &hop, def, BPF_ANY) ? -errno : 0;
}

int ft_probe_set_hops(struct ft_probe *p, const struct ft_config *c)
{
	_free_ struct ft_hop_def *def = calloc(FT_MAX_HOPS, sizeof(*def));
	_free_ struct ft_rules *rules = calloc(1, sizeof(*rules));
	uint32_t zero = 0;
	uint64_t fresh = 0, retired = 0;
	int err;

	if (!def || !rules)
		return -ENOMEM;
	err = ft_config_compile(c, def, rules);
	for (uint32_t i = 0; i < c->nhops; i++)
		retired |= (uint64_t)c->hop[i].retired << i;
	if (!err)
		err = set_rules(p, rules, c->nhops, retired, &fresh);
	for (uint32_t i = 0; !err && i < c->nhops; i++)
		err = set_def(p, i, &def[i], fresh >> i & 1);
	if (err)
		return err;
	p->meta.nhops = c->nhops;
	return bpf_map_update_elem(p->map[FT_MAP_META], &zero, &p->meta, BPF_ANY) ? -errno : 0;
}

int ft_probe_set_switches(struct ft_probe *p, bool discover, uint32_t one_shot_ms)
{
	struct ft_control control;
	int err = ft_probe_get_control(p, &control);

	control.discover = discover;
	control.one_shot_ms = one_shot_ms;
	return err ? err : ft_probe_set_control(p, &control);
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

void ft_probe_add_undiscovered(struct ft_probe *p, uint64_t connects)
{
	uint64_t sum = p->meta.undiscovered + connects;
	uint32_t zero = 0;

	if (!connects)
		return;
	p->meta.undiscovered = sum < UINT32_MAX ? sum : UINT32_MAX;
	bpf_map_update_elem(p->map[FT_MAP_META], &zero, &p->meta, BPF_ANY);
}

void ft_probe_set_no_room(struct ft_probe *p, uint32_t hops)
{
	uint32_t zero = 0;

	if (hops <= p->meta.no_rule_slot)
		return;
	p->meta.no_rule_slot = hops;
	bpf_map_update_elem(p->map[FT_MAP_META], &zero, &p->meta, BPF_ANY);
}

bool ft_probe_has_netns(const struct ft_probe *p, uint32_t netns)
{
	struct ft_control control;

	return !ft_probe_get_control(p, &control) && control.netns == netns;
}

int ft_probe_set_netns(struct ft_probe *p, uint32_t netns)
{
	struct ft_control control;
	int err = ft_probe_get_control(p, &control);

	control.netns = netns;
	control.phase = FT_PHASE_FILL;
	control.fresh = ~0ULL;
	control.retired = 0;
	return err ? err : ft_probe_set_control(p, &control);
}

int ft_probe_get_rules(const struct ft_probe *p, struct ft_rules *ret)
{
	_free_ struct ft_rules *both = malloc(2 * sizeof(*both));
	struct ft_control control;
	uint32_t zero = 0;
	int err = both ? ft_probe_get_control(p, &control) : -ENOMEM;

	if (err)
		return err;
	if (bpf_map_lookup_elem(p->map[FT_MAP_RULES], &zero, both))
		return -errno;
	*ret = both[control.table & 1];
	return 0;
}

bool ft_probe_same_rules(const struct ft_probe *p, const struct ft_rules *rules)
{
	_free_ struct ft_rules *ours = malloc(sizeof(*ours));

	return ours && !ft_probe_get_rules(p, ours) && !memcmp(ours, rules, sizeof(*rules));
}

int ft_probe_take_over(struct ft_probe *p, uint32_t interval_ms)
{
	uint32_t zero = 0;

	p->meta.pid = getpid();
	p->meta.interval_ms = interval_ms;
	snprintf(p->meta.version, sizeof(p->meta.version), "%s", FT_VERSION);
	return bpf_map_update_elem(p->map[FT_MAP_META], &zero, &p->meta, BPF_ANY) ? -errno : 0;
}
