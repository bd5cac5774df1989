// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What scans found, in and out of the maps. The agent writes the row of the last complete scan
 * after everything that belongs to it, so that a reader who sees its number finds the rest. */
#include <bpf/bpf.h>
#include <errno.h>

#include "probe_internal.h"

int ft_probe_found(const struct ft_probe *p, uint32_t number, uint32_t hop, struct ft_hop_scan *ret)
{
	uint32_t slot = FT_SCAN_SLOT(number, hop);

	return bpf_map_lookup_elem(p->map[FT_MAP_SCANS], &slot, ret) ? -errno : 0;
}

int ft_probe_get_scan(const struct ft_probe *p, struct ft_scan *ret)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(p->map[FT_MAP_SCAN], &zero, ret) ? -errno : 0;
}

int ft_probe_put_scan(struct ft_probe *p, const struct ft_scan *scan)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(p->map[FT_MAP_SCAN], &zero, scan, BPF_ANY) ? -errno : 0;
}

int ft_probe_get_limits(const struct ft_probe *p, uint32_t hop, struct ft_hop_limits *ret)
{
	return bpf_map_lookup_elem(p->map[FT_MAP_LIMITS], &hop, ret) ? -errno : 0;
}

int ft_probe_put_limits(struct ft_probe *p, uint32_t hop, const struct ft_hop_limits *limits)
{
	return bpf_map_update_elem(p->map[FT_MAP_LIMITS], &hop, limits, BPF_ANY) ? -errno : 0;
}

int ft_probe_get_pairs(const struct ft_probe *p, uint32_t hop, struct ft_hop_pairs *ret)
{
	return bpf_map_lookup_elem(p->map[FT_MAP_PAIRINGS], &hop, ret) ? -errno : 0;
}

int ft_probe_put_pairs(struct ft_probe *p, uint32_t hop, const struct ft_hop_pairs *pairs)
{
	return bpf_map_update_elem(p->map[FT_MAP_PAIRINGS], &hop, pairs, BPF_ANY) ? -errno : 0;
}

int ft_probe_get_pair_loss(const struct ft_probe *p, struct ft_pair_totals *ret)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(p->map[FT_MAP_PAIR_LOSS], &zero, ret) ? -errno : 0;
}

int ft_probe_put_pair_loss(struct ft_probe *p, const struct ft_pair_totals *loss)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(p->map[FT_MAP_PAIR_LOSS], &zero, loss, BPF_ANY) ? -errno : 0;
}

int ft_probe_put_space(struct ft_probe *p, uint32_t netns, const struct ft_space *space)
{
	return bpf_map_update_elem(p->map[FT_MAP_SPACES], &netns, space, BPF_ANY) ? -errno : 0;
}

int ft_probe_drop_space(struct ft_probe *p, uint32_t netns)
{
	return bpf_map_delete_elem(p->map[FT_MAP_SPACES], &netns) ? -errno : 0;
}

int ft_probe_drop_ports(struct ft_probe *p, const struct ft_ports_key *key)
{
	return bpf_map_delete_elem(p->map[FT_MAP_PORTS_USED], key) ? -errno : 0;
}

int ft_probe_forget_port(struct ft_probe *p, const struct ft_port_key *key)
{
	return bpf_map_delete_elem(p->map[FT_MAP_PORTS], key) ? -errno : 0;
}
