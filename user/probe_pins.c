// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Pins: names in bpffs under which the kernel objects outlive the process that made them. A
 * set is whole or it is nothing: one missing object makes it stale. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "probe.h"
#include "probe_pair_pins.h"

static const char *const map_pins[] = {
	[FT_MAP_FLOWS] = "flows",	[FT_MAP_STATS] = "stats",
	[FT_MAP_TOTALS] = "totals",	[FT_MAP_LISTENERS] = "listeners",
	[FT_MAP_PORTS] = "ports",	[FT_MAP_CANDIDATES] = "candidates",
	[FT_MAP_META] = "meta",		[FT_MAP_HOPS] = "hops",
	[FT_MAP_HISTORY] = "history",	[FT_MAP_RULES] = "rules",
	[FT_MAP_CONTROL] = "control",	[FT_MAP_OWNERS] = "owners",
	[FT_MAP_WALKED] = "walked",	[FT_MAP_SCANS] = "scans",
	[FT_MAP_SCAN] = "scan",		[FT_MAP_LIMITS] = "limits",
	[FT_MAP_SPACES] = "spaces",	[FT_MAP_PORTS_USED] = "ports_used",
	[FT_MAP_PAIRINGS] = "pairings", [FT_MAP_PAIR_LOSS] = "pair_loss",
};
static const char *const link_pins[] = {
	[FT_LINK_STATE] = "link_state",
	[FT_LINK_STATE_AGAIN] = "link_state_again",
	[FT_LINK_STATE_THIRD] = "link_state_third",
	[FT_LINK_WALK] = "link_walk",
	[FT_LINK_DUMP] = "link_dump",
	[FT_LINK_SWEEP] = "link_sweep",
	[FT_LINK_HOLDERS] = "link_holders",
};

#define PATH_LEN 1024

static int pin_path(const char *dir, const char *name, char ret[PATH_LEN])
{
	return snprintf(ret, PATH_LEN, "%s/%s", dir, name) < PATH_LEN ? 0 : -ENAMETOOLONG;
}

static int pin(int fd, const char *dir, const char *name)
{
	char path[PATH_LEN];
	int err = pin_path(dir, name, path);

	return err ? err : bpf_obj_pin(fd, path) ? -errno : 0;
}

static bool is_bpffs(const char *dir)
{
	struct statfs fs;

	return !statfs(dir, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* Whether nobody but us, or root, can put names there. `mount -t bpf` makes a bpffs in which
 * everybody may make a directory of any name, and its owner may take our pins away, or give us his
 * own to count on. A link is not followed: where it leads may change. */
static bool is_ours(const char *dir)
{
	struct stat st;

	return !lstat(dir, &st) && S_ISDIR(st.st_mode) && !(st.st_mode & (S_IWGRP | S_IWOTH)) &&
	       (!st.st_uid || st.st_uid == geteuid());
}

int ft_probe_pin(struct ft_probe *p, const char *dir)
{
	bool made = !mkdir(dir, 0700);
	int err = made || errno == EEXIST ? 0 : -errno;

	if (!err && !is_bpffs(dir)) {
		if (made)
			rmdir(dir);
		return -ENOTSUP;
	}
	if (!err && !is_ours(dir))
		return -EEXIST;
	for (int i = 0; !err && i < FT_NMAPS; i++)
		if (p->map[i] >= 0)
			err = pin(p->map[i], dir, map_pins[i]);
	/* Links last: what counts is named only when everything else is. */
	for (int i = 0; !err && i < FT_NLINKS; i++)
		if (p->link[i] >= 0)
			err = pin(p->link[i], dir, link_pins[i]);
	if (err)
		ft_probe_unpin(dir);
	return err;
}

static int open_pin(const char *dir, const char *name)
{
	char path[PATH_LEN];
	int err = pin_path(dir, name, path), fd = err ? -1 : bpf_obj_get(path);

	return err ? err : fd < 0 ? -errno : fd;
}

static bool has_pin(const char *dir, const char *name)
{
	char path[PATH_LEN];

	return !pin_path(dir, name, path) && !access(path, F_OK);
}

#define HASH(key, value)                                                                           \
	{                                                                                          \
		BPF_MAP_TYPE_HASH, sizeof(key), sizeof(value)                                      \
	}
#define ARRAY(value)                                                                               \
	{                                                                                          \
		BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(value)                                \
	}
#define PERCPU(value)                                                                              \
	{                                                                                          \
		BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint32_t), sizeof(value)                         \
	}

/* What readers have room for: the kernel writes as much as the map says, per CPU where its type
 * says so. A map of the right name and another shape is not ours. */
static const struct {
	uint32_t type, key_size, value_size;
} shape[FT_NMAPS] = {
	[FT_MAP_FLOWS] = HASH(uint64_t, struct ft_flow),
	[FT_MAP_STATS] = PERCPU(struct ft_hop_stats),
	[FT_MAP_TOTALS] = PERCPU(struct ft_totals),
	[FT_MAP_LISTENERS] = HASH(uint64_t, struct ft_listener),
	[FT_MAP_PORTS] = HASH(struct ft_port_key, struct ft_port),
	[FT_MAP_CANDIDATES] = HASH(struct ft_candidate_key, struct ft_candidate),
	[FT_MAP_META] = ARRAY(struct ft_meta),
	[FT_MAP_HOPS] = ARRAY(struct ft_hop_def),
	[FT_MAP_HISTORY] = ARRAY(struct ft_sample),
	[FT_MAP_RULES] = ARRAY(struct ft_rules[2]),
	[FT_MAP_CONTROL] = ARRAY(struct ft_control),
	[FT_MAP_OWNERS] = HASH(uint64_t, char[FT_COMM_LEN + 8]), /* as in bpf/scan.bpf.h */
	[FT_MAP_WALKED] = HASH(uint32_t, uint32_t),
	[FT_MAP_SCANS] = ARRAY(struct ft_hop_scan),
	[FT_MAP_SCAN] = ARRAY(struct ft_scan),
	[FT_MAP_LIMITS] = ARRAY(struct ft_hop_limits),
	[FT_MAP_SPACES] = HASH(uint32_t, struct ft_space),
	[FT_MAP_PORTS_USED] = HASH(struct ft_ports_key, struct ft_ports_used),
	[FT_MAP_PAIRINGS] = ARRAY(struct ft_hop_pairs),
	[FT_MAP_PAIR_LOSS] = ARRAY(struct ft_pair_totals),
};

static bool fits(int fd, enum ft_map map)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == shape[map].type &&
	       info.key_size == shape[map].key_size && info.value_size == shape[map].value_size;
}

static int adopt_meta(struct ft_probe *p, const char *dir, char *why, size_t why_len)
{
	int fd = open_pin(dir, map_pins[FT_MAP_META]);
	uint32_t zero = 0;

	if (fd < 0)
		return fd;
	p->map[FT_MAP_META] = fd;
	if (!fits(fd, FT_MAP_META) || bpf_map_lookup_elem(fd, &zero, &p->meta) ||
	    p->meta.abi != FT_ABI) {
		snprintf(why, why_len, "they have another ABI");
		return -ESTALE;
	}
	p->meta.version[sizeof(p->meta.version) - 1] = 0;
	p->meta.cgroup[sizeof(p->meta.cgroup) - 1] = 0;
	return 0;
}

/* The sockops door has fewer maps and only one link; not every kernel needs a third program. */
static bool needed(const struct ft_probe *p, bool link, int i)
{
	if (p->meta.source == FT_SOURCE_TRACEPOINT)
		return !link || i != FT_LINK_STATE_THIRD || ft_probe_preemptible();
	if (link)
		return i == FT_LINK_STATE;
	return i != FT_MAP_OWNERS && i != FT_MAP_WALKED && i != FT_MAP_SCANS &&
	       i != FT_MAP_PORTS_USED;
}

static int adopt_objects(struct ft_probe *p, const char *dir, bool reads, char *why, size_t why_len)
{
	for (int i = 0; i < FT_NMAPS; i++) {
		if (p->map[i] < 0)
			p->map[i] = open_pin(dir, map_pins[i]);
		if (p->map[i] >= 0 ? !fits(p->map[i], i) : needed(p, false, i)) {
			snprintf(why, why_len, "\"%s\" is missing or of another shape",
				 map_pins[i]);
			return -ESTALE;
		}
	}
	for (int i = 0; i < FT_NLINKS; i++) {
		bool there = has_pin(dir, link_pins[i]);

		if (there && (!reads || i == FT_LINK_DUMP))
			p->link[i] = open_pin(dir, link_pins[i]);
		if (needed(p, true, i) && (!there || (!reads && p->link[i] < 0))) {
			snprintf(why, why_len, "\"%s\" is missing", link_pins[i]);
			return -ESTALE;
		}
	}
	return 0;
}

static int clear_names(const char *dir, const char *const *name, int n, bool remove)
{
	char path[PATH_LEN];
	int found = 0;

	for (int i = 0; i < n; i++)
		if (!pin_path(dir, name[i], path) && !access(path, F_OK)) {
			found++;
			if (remove)
				unlink(path);
		}
	return found;
}

/* How many of our names are in dir; they are removed if asked. Never outside bpffs. */
static int clear(const char *dir, bool remove)
{
	int n;

	if (!is_bpffs(dir) || !is_ours(dir))
		return 0;
	n = clear_names(dir, link_pins, FT_NLINKS, remove) +
	    clear_names(dir, map_pins, FT_NMAPS, remove) +
	    clear_names(dir, ft_probe_pair_pins, FT_NPROBE_PAIR_PINS, remove);
	if (remove && n)
		rmdir(dir); /* fails if somebody else keeps names there */
	return n;
}

int ft_probe_unpin(const char *dir)
{
	return clear(dir, true);
}

static int open_all(struct ft_probe *p, const char *dir, bool reads, char *why, size_t why_len)
{
	int err;

	*p = (struct ft_probe)FT_PROBE_NONE;
	p->ncpus = libbpf_num_possible_cpus();
	p->adopted = true;
	if (why_len)
		why[0] = 0;
	err = is_ours(dir) ? adopt_meta(p, dir, why, why_len) : -ENOENT;
	if (err == -ENOENT && clear(dir, false)) {
		snprintf(why, why_len, "\"%s\" is missing", map_pins[FT_MAP_META]);
		err = -ESTALE;
	}
	if (!err)
		err = adopt_objects(p, dir, reads, why, why_len);
	if (err)
		ft_probe_close(p);
	return err;
}

int ft_probe_adopt(struct ft_probe *p, const char *dir, char *why, size_t why_len)
{
	return open_all(p, dir, false, why, why_len);
}

int ft_probe_open(struct ft_probe *p, const char *dir, char *why, size_t why_len)
{
	return open_all(p, dir, true, why, why_len);
}
