// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tables of pairs under names, so that `fantail show pairs` can read them. A list is read
 * key by key: it is for people, and rare. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Every entry as key and value side by side, as the rows of a walk are. An entry that is removed
 * meanwhile makes the kernel begin again: so no more rows than the table can have. */
static int read_table(int fd, size_t key_size, size_t value_size, void **ret, size_t *ret_n)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	size_t size = 0, n = 0, row = key_size + value_size;
	char *rows = NULL, key[16];

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	if (info.type != BPF_MAP_TYPE_HASH || info.key_size != key_size ||
	    info.value_size != value_size)
		return -ESTALE;
	while (n < info.max_entries && !bpf_map_get_next_key(fd, n ? key : NULL, key)) {
		if (n == size) {
			char *more = realloc(rows, (size = size ? 2 * size : 256) * row);

			if (!more) {
				free(rows);
				return -ENOMEM;
			}
			rows = more;
		}
		memcpy(rows + n * row, key, key_size);
		if (!bpf_map_lookup_elem(fd, key, rows + n * row + key_size))
			n++;
	}
	*ret = rows;
	*ret_n = n;
	return 0;
}

int ft_probe_pair_list(const char *dir, struct ft_pair_walk *ret)
{
	_Static_assert(sizeof(*ret->flow) == sizeof(uint64_t) + sizeof(struct ft_pair_flow),
		       "a row is key and value");
	_Static_assert(sizeof(*ret->edge) ==
			       sizeof(struct ft_pair_edge_key) + sizeof(struct ft_pair_edge),
		       "a row is key and value");
	_close_ int flows = open_pin(dir, 0), edges = open_pin(dir, 1);
	struct ft_pair_walk w = {0};
	int err = flows < 0 ? flows : edges < 0 ? edges : 0;

	if (!err)
		err = read_table(flows, sizeof(uint64_t), sizeof(struct ft_pair_flow),
				 (void **)&w.flow, &w.nflows);
	if (!err)
		err = read_table(edges, sizeof(struct ft_pair_edge_key),
				 sizeof(struct ft_pair_edge), (void **)&w.edge, &w.nedges);
	if (err)
		ft_pair_walk_close(&w);
	else
		*ret = w;
	return err;
}
