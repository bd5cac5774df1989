// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tables of pairs under names, so that `fantail show pairs` can read them. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cleanup.h"
#include "probe_pair_pins.h"

const char *const ft_probe_pair_pins[FT_NPROBE_PAIR_PINS] = {"pair_flows", "pair_edges"};

#define PATH_LEN 1024

static int pin_path(const char *dir, int i, char ret[PATH_LEN])
{
	return snprintf(ret, PATH_LEN, "%s/%s", dir, ft_probe_pair_pins[i]) < PATH_LEN
		       ? 0
		       : -ENAMETOOLONG;
}

int ft_probe_pair_pin(const struct ft_probe_pair *p, const char *dir)
{
	static const enum ft_pair_map map[FT_NPROBE_PAIR_PINS] = {FT_PAIR_MAP_FLOWS,
								  FT_PAIR_MAP_EDGES};
	char path[PATH_LEN];
	int err = 0;

	for (int i = 0; !err && i < FT_NPROBE_PAIR_PINS; i++) {
		err = pin_path(dir, i, path);
		if (!err && bpf_obj_pin(p->map[map[i]], path))
			err = -errno;
	}
	return err;
}

void ft_probe_pair_unpin(const char *dir)
{
	char path[PATH_LEN];

	for (int i = 0; i < FT_NPROBE_PAIR_PINS; i++)
		if (!pin_path(dir, i, path))
			unlink(path);
}

static int open_pin(const char *dir, int i)
{
	char path[PATH_LEN];
	int err = pin_path(dir, i, path), fd = err ? -1 : bpf_obj_get(path);

	return err ? err : fd < 0 ? -errno : fd;
}

/* A map of the right name and another shape is not ours. */
static bool fits(int fd, size_t key_size, size_t value_size)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == BPF_MAP_TYPE_HASH &&
	       info.key_size == key_size && info.value_size == value_size;
}

int ft_probe_pair_list(const char *dir, struct ft_pair_walk *ret)
{
	_close_ int flows = open_pin(dir, 0), edges = open_pin(dir, 1);
	struct ft_probe_pair p = FT_PROBE_PAIR_NONE;

	if (flows < 0 || edges < 0)
		return flows < 0 ? flows : edges;
	if (!fits(flows, sizeof(uint64_t), sizeof(struct ft_pair_flow)) ||
	    !fits(edges, sizeof(struct ft_pair_edge_key), sizeof(struct ft_pair_edge)))
		return -ESTALE;
	p.map[FT_PAIR_MAP_FLOWS] = flows;
	p.map[FT_PAIR_MAP_EDGES] = edges;
	return ft_probe_pair_rows(&p, ret);
}
