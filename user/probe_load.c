// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loading and attaching: the only file that includes the skeletons. Everything after this
 * works on plain file descriptors, so that objects which this process loaded and objects
 * which it found pinned are used alike. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "probe.h"
#include "sockops.skel.h"
#include "sockops_nobtf.skel.h"
#include "tracepoint.skel.h"

/* Names in the BPF objects, by role. */
static const char *const map_names[] = {
	[FT_MAP_FLOWS] = "ft_flows",	    [FT_MAP_STATS] = "ft_stats",
	[FT_MAP_TOTALS] = "ft_totals",	    [FT_MAP_LISTENERS] = "ft_listeners",
	[FT_MAP_PORTS] = "ft_ports",	    [FT_MAP_CANDIDATES] = "ft_candidates",
	[FT_MAP_META] = "ft_meta",	    [FT_MAP_HOPS] = "ft_hops",
	[FT_MAP_HISTORY] = "ft_history",    [FT_MAP_RULES] = ".data.rules",
	[FT_MAP_CONTROL] = ".data.control", [FT_MAP_OWNERS] = "ft_owners",
	[FT_MAP_WALKED] = "ft_walked",	    [FT_MAP_SCANS] = "ft_scans",
	[FT_MAP_SCAN] = "ft_scan",	    [FT_MAP_LIMITS] = "ft_limits",
	[FT_MAP_SPACES] = "ft_spaces",	    [FT_MAP_PORTS_USED] = "ft_ports_used",
	[FT_MAP_PAIRINGS] = "ft_pairings",  [FT_MAP_PAIR_LOSS] = "ft_pair_loss",
};
_Static_assert(sizeof(map_names) / sizeof(map_names[0]) == FT_NMAPS, "a map has no name");

/* What bpftool calls a skeleton, whichever door it is. */
struct skeleton {
	struct ft_tracepoint *tracepoint;
	struct ft_sockops *sockops;
	struct ft_sockops_nobtf *nobtf;
	struct bpf_object *obj;
	struct bpf_object_skeleton *opened; /* of whichever was opened */
	struct bpf_link *link[FT_NLINKS];
	bool owner; /* the programs know the process that connects */
};

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return ft_log_libbpf(level, fmt, ap);
}

void ft_probe_prepare(void)
{
	const struct rlimit no_limit = {RLIM_INFINITY, RLIM_INFINITY};

	libbpf_set_print(print_libbpf);
	/* Before 5.11 maps and programs count as locked memory. libbpf asks for it too, but when it
	 * loads pairing's programs, the capability for it may be gone. */
	setrlimit(RLIMIT_MEMLOCK, &no_limit);
}

static bool lockdown_confidential(void)
{
	char text[64] = "";
	int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	return n > 0 && strstr(text, "[confidentiality]");
}

static void close_objects(struct skeleton *s)
{
	ft_tracepoint__destroy(s->tracepoint);
	ft_sockops__destroy(s->sockops);
	ft_sockops_nobtf__destroy(s->nobtf);
	s->tracepoint = NULL;
	s->sockops = NULL;
	s->nobtf = NULL;
}

static void close_skeleton(struct skeleton *s)
{
	if (!s)
		return;
	for (int i = 0; i < FT_NLINKS; i++)
		bpf_link__destroy(s->link[i]);
	close_objects(s);
	free(s);
}

/* The coarse clocks move once per jiffy, and say so. */
static uint64_t jiffy_ns(void)
{
	struct timespec t = {0};

	return clock_getres(CLOCK_MONOTONIC_COARSE, &t) || !t.tv_nsec ? 4000000 : t.tv_nsec;
}

static bool have_btf(void)
{
	return !access("/sys/kernel/btf/vmlinux", R_OK);
}

/* Which helpers a sockops program may call depends on the kernel (who connects: 6.12 says yes, 6.1
 * no) and on CAP_PERFMON, and libbpf 1.1's probe is mistaken on new kernels. Tried with the
 * smallest program: to try it with the real one makes libbpf ask for the whole story of the
 * refusal. */
static bool sockops_may_call(int helper)
{
	const struct bpf_insn ask[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = helper},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCK_OPS, NULL, "GPL", ask,
			       sizeof(ask) / sizeof(ask[0]), NULL);

	if (fd < 0)
		return errno == EACCES; /* it may, but not with these arguments */
	close(fd);
	return true;
}

/* Linux 7.0 took preempt_disable() from tracepoints. Whether that is so tells only the release: no
 * type or symbol does. */
bool ft_probe_preemptible(void)
{
	struct utsname name;
	unsigned int major = 0;

	return !uname(&name) && sscanf(name.release, "%u", &major) == 1 && major >= 7;
}

static int open_skeleton(struct skeleton *s, const struct ft_probe_options *o, bool owner)
{
	if (o->source == FT_SOURCE_TRACEPOINT) {
		s->tracepoint = ft_tracepoint__open();
		if (!s->tracepoint)
			return -errno;
		s->tracepoint->rodata->no_probe_read = lockdown_confidential();
		s->tracepoint->rodata->keep_entries = FT_KEEP(o->max_flows);
		s->tracepoint->rodata->tick_ns = jiffy_ns();
		s->tracepoint->rodata->preemptible = o->preemptible || ft_probe_preemptible();
		bpf_program__set_autoload(s->tracepoint->progs.ft_state_third,
					  s->tracepoint->rodata->preemptible);
		s->obj = s->tracepoint->obj;
		s->opened = s->tracepoint->skeleton;
	} else if (have_btf() && sockops_may_call(BPF_FUNC_skc_to_tcp_sock)) {
		s->sockops = ft_sockops__open();
		if (!s->sockops)
			return -errno;
		s->sockops->rodata->have_owner = owner;
		s->sockops->rodata->keep_entries = 0; /* a cookie does not come back */
		s->obj = s->sockops->obj;
		s->opened = s->sockops->skeleton;
	} else {
		s->nobtf = ft_sockops_nobtf__open();
		if (!s->nobtf)
			return -errno;
		s->nobtf->rodata->keep_entries = 0;
		s->obj = s->nobtf->obj;
		s->opened = s->nobtf->skeleton;
	}
	return 0;
}

static int size_maps(struct skeleton *s, const struct ft_probe_options *o)
{
	struct bpf_map *flows = bpf_object__find_map_by_name(s->obj, "ft_flows");
	struct bpf_map *owners = bpf_object__find_map_by_name(s->obj, "ft_owners");
	int err = bpf_map__set_max_entries(flows, FT_ROOM(o->max_flows));

	if (!err && owners)
		err = bpf_map__set_max_entries(owners, o->max_flows < 65536 ? 65536 : o->max_flows);
	return err;
}

static int attach_one(struct skeleton *s, enum ft_link link, struct bpf_link *made)
{
	if (!made)
		return -errno;
	s->link[link] = made;
	return 0;
}

static int attach_sweep(struct skeleton *s)
{
	union bpf_iter_link_info info;
	DECLARE_LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info,
			    .link_info_len = sizeof(info));

	/* An initializer of one member leaves the others as they are: clang does, and a kernel that
	 * knows fewer of them wants zeros. */
	memset(&info, 0, sizeof(info));
	info.map.map_fd = bpf_map__fd(s->tracepoint->maps.ft_flows);
	return attach_one(s, FT_LINK_SWEEP,
			  bpf_program__attach_iter(s->tracepoint->progs.ft_sweep, &opts));
}

/* In this order: programs of one tracepoint run in the order of their attachment. */
static int attach_tracepoint(struct skeleton *s, bool single)
{
	struct ft_tracepoint *t = s->tracepoint;
	int err = attach_one(s, FT_LINK_STATE, bpf_program__attach(t->progs.ft_state));

	if (!err && !single)
		err = attach_one(s, FT_LINK_STATE_AGAIN,
				 bpf_program__attach(t->progs.ft_state_again));
	if (!err && !single && t->rodata->preemptible)
		err = attach_one(s, FT_LINK_STATE_THIRD,
				 bpf_program__attach(t->progs.ft_state_third));
	if (!err)
		err = attach_one(s, FT_LINK_WALK, bpf_program__attach_iter(t->progs.ft_walk, NULL));
	if (!err)
		err = attach_one(s, FT_LINK_DUMP, bpf_program__attach_iter(t->progs.ft_dump, NULL));
	if (!err)
		err = attach_one(s, FT_LINK_HOLDERS,
				 bpf_program__attach_iter(t->progs.ft_holders, NULL));
	if (!err)
		err = attach_sweep(s);
	return err;
}

static int attach_sockops(struct skeleton *s, const char *cgroup)
{
	const struct bpf_program *prog =
		s->sockops ? s->sockops->progs.ft_sockops : s->nobtf->progs.ft_sockops;
	int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = attach_one(s, FT_LINK_STATE, bpf_program__attach_cgroup(prog, fd));
	close(fd);
	return err;
}

static void collect_fds(struct ft_probe *p, const struct skeleton *s)
{
	for (int i = 0; i < FT_NMAPS; i++) {
		const struct bpf_map *m = bpf_object__find_map_by_name(s->obj, map_names[i]);

		p->map[i] = m ? bpf_map__fd(m) : -1;
	}
	for (int i = 0; i < FT_NLINKS; i++)
		p->link[i] = s->link[i] ? bpf_link__fd(s->link[i]) : -1;
}

static int write_meta(struct ft_probe *p, const struct ft_probe_options *o)
{
	struct ft_control control = {
		.netns = o->netns, .discover = o->discover, .one_shot_ms = o->one_shot_ms};
	struct timespec now;
	__u32 zero = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	p->meta = (struct ft_meta){
		.abi = FT_ABI,
		.source = o->source,
		.start_ns = now.tv_sec * 1000000000ULL + now.tv_nsec,
		.max_flows = o->max_flows,
		.pid = getpid(),
		.interval_ms = o->interval_ms,
	};
	snprintf(p->meta.version, sizeof(p->meta.version), "%s", FT_VERSION);
	if (o->cgroup)
		snprintf(p->meta.cgroup, sizeof(p->meta.cgroup), "%s", o->cgroup);
	if (bpf_map_update_elem(p->map[FT_MAP_META], &zero, &p->meta, BPF_ANY) ||
	    bpf_map_update_elem(p->map[FT_MAP_CONTROL], &zero, &control, BPF_ANY))
		return -errno;
	return 0;
}

static int load_with(struct skeleton *s, const struct ft_probe_options *o, bool owner)
{
	int err = open_skeleton(s, o, owner);

	if (!err)
		err = size_maps(s, o);
	if (!err)
		err = bpf_object__load_skeleton(s->opened);
	return err;
}

static int load(struct skeleton *s, const struct ft_probe_options *o)
{
	bool owner =
		o->source != FT_SOURCE_SOCKOPS || sockops_may_call(BPF_FUNC_get_current_task_btf);
	int err = load_with(s, o, owner);

	s->owner = !err && owner && !s->nobtf;
	return err;
}

int ft_probe_load(struct ft_probe *p, const struct ft_probe_options *o, char *why, size_t why_len)
{
	struct skeleton *s = calloc(1, sizeof(*s));
	const char *step = "load";
	int err;

	*p = (struct ft_probe)FT_PROBE_NONE;
	if (!s)
		return -ENOMEM;
	ft_probe_prepare();
	ft_log_libbpf_forget();
	err = load(s, o);
	if (!err) {
		step = "attach";
		err = o->source == FT_SOURCE_TRACEPOINT ? attach_tracepoint(s, o->single)
							: attach_sockops(s, o->cgroup);
	}
	if (!err) {
		step = "configure";
		collect_fds(p, s);
		p->ncpus = libbpf_num_possible_cpus();
		err = p->ncpus < 0 ? p->ncpus : write_meta(p, o);
	}
	if (err) {
		snprintf(why, why_len, "cannot %s the %s programs: %s", step,
			 o->source == FT_SOURCE_TRACEPOINT ? "tracepoint" : "sockops",
			 strerror(-err));
		close_skeleton(s);
		*p = (struct ft_probe)FT_PROBE_NONE;
		return err;
	}
	p->skeleton = s;
	p->owner = s->owner;
	return 0;
}

void ft_probe_close(struct ft_probe *p)
{
	if (p->skeleton) { /* its fds belong to libbpf */
		close_skeleton(p->skeleton);
	} else {
		for (int i = 0; i < FT_NMAPS; i++)
			if (p->map[i] >= 0)
				close(p->map[i]);
		for (int i = 0; i < FT_NLINKS; i++)
			if (p->link[i] >= 0)
				close(p->link[i]);
	}
	*p = (struct ft_probe)FT_PROBE_NONE;
}
