// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loading and attaching the pairing programs: the only file that includes their skeleton. The
 * send side has three doors; which one opens depends on the kernel, so they are tried. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "log.h"
#include "probe.h"
#include "probe_pair.h"
#include "pair.skel.h"

static const char *const map_names[] = {
	[FT_PAIR_MAP_FLOWS] = "ft_pair_flows",	   [FT_PAIR_MAP_EDGES] = "ft_pair_edges",
	[FT_PAIR_MAP_THREADS] = "ft_pair_threads", [FT_PAIR_MAP_CLOSED] = "ft_pair_closed",
	[FT_PAIR_MAP_STATS] = "ft_pair_stats",	   [FT_PAIR_MAP_TOTALS] = "ft_pair_totals",
	[FT_PAIR_MAP_CONTROL] = ".data.pairing",
};
_Static_assert(sizeof(map_names) / sizeof(map_names[0]) == FT_NPAIR_MAPS, "a map has no name");

/* Programs by link and door; NULL: none. State last: what it ends must have begun. */
static const char *const programs[FT_NPAIR_DOORS][FT_NPAIR_LINKS] = {
	[FT_PAIR_TRACEPOINT] = {"ft_pair_read", "ft_pair_send", NULL, NULL, NULL, "ft_pair_state",
				"ft_pair_again"},
	[FT_PAIR_FEXIT] = {"ft_pair_read", "ft_pair_sendmsg", NULL, "ft_pair_sendpage", NULL,
			   "ft_pair_state", "ft_pair_again"},
	[FT_PAIR_KPROBE] = {"ft_pair_read", "ft_pair_msg_in", "ft_pair_msg_out", "ft_pair_page_in",
			    "ft_pair_page_out", "ft_pair_state", "ft_pair_again"},
};

struct skeleton {
	struct ft_pair *pair;
	struct bpf_link *link[FT_NPAIR_LINKS];
};

static void close_skeleton(struct skeleton *s)
{
	for (int i = 0; i < FT_NPAIR_LINKS; i++)
		bpf_link__destroy(s->link[i]);
	ft_pair__destroy(s->pair);
	memset(s, 0, sizeof(*s));
}

static bool of_door(const struct bpf_program *prog, enum ft_pair_door door)
{
	for (int i = 0; i < FT_NPAIR_LINKS; i++)
		if (programs[door][i] && !strcmp(programs[door][i], bpf_program__name(prog)))
			return true;
	return false;
}

static int configure(struct ft_pair *pair, int flows, const struct ft_probe_pair_options *o,
		     enum ft_pair_door door)
{
	struct bpf_program *prog = NULL;
	int err;

	while ((prog = bpf_object__next_program(pair->obj, prog)))
		bpf_program__set_autoload(prog, of_door(prog, door));
	pair->rodata->drop_ended = !o->keep_ended;
	/* a trampoline does not keep its task from being preempted (5.12 and later) */
	pair->rodata->preemptible = ft_probe_preemptible() || door == FT_PAIR_FEXIT;
	err = bpf_map__reuse_fd(pair->maps.ft_flows, flows);
	if (!err && o->max_flows)
		err = bpf_map__set_max_entries(pair->maps.ft_pair_flows, FT_ROOM(o->max_flows));
	if (!err && o->max_edges)
		err = bpf_map__set_max_entries(pair->maps.ft_pair_edges, o->max_edges);
	return err;
}

static int attach(struct skeleton *s, enum ft_pair_door door)
{
	for (int i = 0; i < FT_NPAIR_LINKS; i++) {
		const char *name = programs[door][i];
		const struct bpf_program *prog;

		if (!name)
			continue;
		prog = bpf_object__find_program_by_name(s->pair->obj, name);
		s->link[i] = bpf_program__attach(prog);
		if (!s->link[i])
			return -errno;
	}
	return 0;
}

static int open_door(struct skeleton *s, int flows, const struct ft_probe_pair_options *o,
		     enum ft_pair_door door)
{
	int err;

	s->pair = ft_pair__open();
	if (!s->pair)
		return -errno;
	err = configure(s->pair, flows, o, door);
	if (!err)
		err = ft_pair__load(s->pair);
	if (!err)
		err = attach(s, door);
	if (err)
		close_skeleton(s);
	return err;
}

static void collect_program(struct ft_probe_pair *p, const struct skeleton *s, int i)
{
	const char *name = programs[p->door][i];

	if (!s->link[i])
		return;
	p->link[i] = bpf_link__fd(s->link[i]);
	p->program[i] = bpf_program__fd(bpf_object__find_program_by_name(s->pair->obj, name));
}

static void collect_fds(struct ft_probe_pair *p, const struct skeleton *s)
{
	for (int i = 0; i < FT_NPAIR_MAPS; i++)
		p->map[i] = bpf_object__find_map_fd_by_name(s->pair->obj, map_names[i]);
	for (int i = 0; i < FT_NPAIR_LINKS; i++)
		collect_program(p, s, i);
}

#define ENOTSUPP 524 /* the kernel's own: fentry on arm64 before 6.4 */

/* A kprobe's program that shares maps which allocate at run time makes kernels up to 5.15 print a
 * WARNING with a stack trace (kernel/bpf/verifier.c). Nobody wants that for a list of pairs. */
static bool quiet(enum ft_pair_door door)
{
	struct utsname name;
	unsigned int major = 0;

	if (door != FT_PAIR_KPROBE)
		return true;
	return !uname(&name) && sscanf(name.release, "%u", &major) == 1 && major >= 6;
}

int ft_probe_pair_load(struct ft_probe_pair *p, int flows, const struct ft_probe_pair_options *o,
		       char *why, size_t why_len)
{
	struct skeleton *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	*p = (struct ft_probe_pair)FT_PROBE_PAIR_NONE;
	for (int door = o->first_door; s && err && door < FT_NPAIR_DOORS; door++) {
		if (!quiet(door))
			break;
		err = open_door(s, flows, o, door);
		p->door = door;
		ft_log(FT_LOG_DEBUG, "pairing by %s: %s", programs[door][FT_PAIR_LINK_SEND],
		       err ? strerror(-err) : "attached");
	}
	if (err) {
		snprintf(why, why_len,
			 "pairs are not available on this kernel: %s (needs the "
			 "tracepoint sock:sock_send_length, Linux 6.3, or fentry, or "
			 "kprobes from Linux 6 on)",
			 err == -ENOTSUPP ? "not supported" : strerror(-err));
		free(s);
		*p = (struct ft_probe_pair)FT_PROBE_PAIR_NONE;
		return err;
	}
	p->flows = flows;
	p->ncpus = libbpf_num_possible_cpus();
	p->skeleton = s;
	collect_fds(p, s);
	return 0;
}

int ft_probe_pair_set(struct ft_probe_pair *p, const struct ft_pair_control *plan)
{
	uint32_t zero = 0;

	p->plan = *plan;
	return bpf_map_update_elem(p->map[FT_PAIR_MAP_CONTROL], &zero, plan, BPF_ANY) ? -errno : 0;
}

int ft_probe_pair_keep_closed(struct ft_probe_pair *p, uint32_t hop, bool keep)
{
	struct ft_pair_control plan = p->plan;

	if (hop >= FT_MAX_HOPS || plan.hop[hop].role != FT_PAIR_B ||
	    plan.hop[hop].from >= FT_MAX_HOPS)
		return -EINVAL;
	plan.hop[hop].keep_closed = keep;
	plan.hop[plan.hop[hop].from].keep_closed = keep;
	return ft_probe_pair_set(p, &plan);
}

void ft_probe_pair_close(struct ft_probe_pair *p)
{
	if (!p)
		return;
	if (p->skeleton) { /* the fds belong to libbpf */
		close_skeleton(p->skeleton);
		free(p->skeleton);
	}
	free(p->suspect);
	*p = (struct ft_probe_pair)FT_PROBE_PAIR_NONE;
}
