/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel said at one instant, summed over CPUs. The only input of the model. */
#ifndef FT_SNAPSHOT_H
#define FT_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "fantail.h"
#include "fantail_pair.h"

#define FT_PEERS_UNKNOWN UINT32_MAX

struct ft_snapshot {
	uint64_t mono_ns;  /* CLOCK_MONOTONIC when the counters were read */
	uint64_t real_ns;  /* CLOCK_REALTIME at the same instant, since the epoch */
	uint64_t start_ns; /* CLOCK_MONOTONIC when the counters were made */
	char host[65];
	char version[32];
	uint8_t source;	    /* enum ft_source */
	uint8_t counting;   /* 1: an agent (or this process) is alive and scanning */
	uint32_t max_flows; /* capacity of the flow table, kept entries included */
	uint32_t nhops;
	struct ft_hop_def def[FT_MAX_HOPS];
	struct ft_hop_stats stats[FT_MAX_HOPS];
	uint32_t peers[FT_MAX_HOPS]; /* distinct remote addresses; FT_PEERS_UNKNOWN */
	struct ft_totals totals;
	uint32_t undiscovered;			  /* connects to destinations that had no hop yet */
	struct ft_scan scan;			  /* the last complete one; number 0: none yet */
	struct ft_hop_scan found[FT_MAX_HOPS];	  /* by it */
	struct ft_hop_limits limits[FT_MAX_HOPS]; /* drift, ports, files */
	struct ft_pair_totals pair_loss;
	struct ft_hop_pairs pairs[FT_MAX_HOPS];
};

/* Flows open now: preexisting + opened - closed; never negative. */
uint64_t ft_hop_active(const struct ft_hop_stats *s);
/* Flows in `state` now: what went in minus what went out; never negative. */
uint64_t ft_hop_in_state(const struct ft_hop_stats *s, unsigned int state);
uint64_t ft_hop_closed(const struct ft_hop_stats *s); /* sum over reasons */

/*
 * Names come from outside (processes, other hosts' recordings): copy at most `max` bytes of
 * `text`, up to its NUL, into ret, always terminated; no sequence is cut in the middle.
 * utf8: bytes that are not UTF-8 become '?'. ascii: all but printable ASCII becomes '?'.
 */
void ft_text_utf8(const char *text, size_t max, char *ret, size_t size);
void ft_text_ascii(const char *text, size_t max, char *ret, size_t size);

/*
 * Text form: one JSON object, as `fantail record` writes one per line and tests keep them.
 * to_json: caller frees the returned string; NULL when out of memory.
 * from_json: 0, or -EINVAL with one line in err (at most err_len bytes) that says where;
 * *out is written only on success.
 */
#define FT_SNAPSHOT_SCHEMA 3
char *ft_snapshot_to_json(const struct ft_snapshot *s);
int ft_snapshot_from_json(const char *text, struct ft_snapshot *out, char *err, size_t err_len);

#endif
