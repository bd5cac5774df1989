/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The configuration: libconfig text -> struct ft_config -> the kernel's hop and rule tables.
 * PURE: reads no file. */
#ifndef FT_CONFIG_H
#define FT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "buf.h"
#include "fantail.h"

#define FT_HOP_ENDPOINTS 16

struct ft_config_hop {
	char name[FT_NAME_LEN];
	char from[FT_NAME_LEN]; /* empty: none */
	char process[FT_COMM_LEN];
	uint8_t side;				       /* enum ft_side */
	struct ft_endpoint endpoint[FT_HOP_ENDPOINTS]; /* accept: local; connect: remote */
	unsigned int nendpoints;
	struct ft_prefix peer; /* further condition on the remote address; len 0: none */
	bool has_peer;
	uint32_t limit;	       /* 0: none */
	uint32_t keepalive_ms; /* of the server behind; default FT_DEFAULT_KEEPALIVE_MS */
	bool discovered;
	bool retired;	    /* only holds its place: see ft_config_keep_places */
	unsigned int order; /* of its rules among the configured hops' */
	int line;	    /* where it stands in the file; 0 discovered */
};

enum ft_netns_scope { FT_NETNS_ALL, FT_NETNS_OWN, FT_NETNS_PATH };

struct ft_config {
	uint32_t interval_ms;	    /* 100..3600000; default 1000 */
	char textfile[FT_PATH_LEN]; /* default FT_DEFAULT_TEXTFILE; "" = none */
	uint32_t scan_ms;	    /* 100..3600000, at least so long between scans; default 5000 */
	uint32_t one_shot_ms;	    /* 0..3600000; default 0: by payload only */
	uint32_t max_flows;	    /* 1024..16777216; default 262144 */
	enum ft_netns_scope netns;  /* default all */
	char netns_path[FT_PATH_LEN];
	char cgroup[FT_PATH_LEN]; /* key `cgroup`; "" = none */
	uint8_t source;		  /* key `source`; default FT_SOURCE_TRACEPOINT */
	bool source_set;
	bool pairs;	    /* key `pairs`; default true */
	bool quality;	    /* key `quality`; reserved, has no effect */
	unsigned int nhops; /* 0: discover */
	struct ft_config_hop hop[FT_MAX_HOPS];
};

#define FT_DEFAULT_KEEPALIVE_MS 75000 /* NGINX keepalive_timeout */
#define FT_DEFAULT_CONFIG	"/etc/fantail/fantail.conf"
#define FT_DEFAULT_TEXTFILE	"/var/lib/prometheus/node-exporter/fantail.prom"

void ft_config_default(struct ft_config *c);

/*
 * Parse `text`; `file` is only its name for messages. Returns 0, or -EINVAL with every
 * error found, one per line, as "file:line: message", in errors; *ret is written only on
 * success. An unknown key names the nearest valid one. Errors are: syntax, unknown keys,
 * wrong types and ranges, missing or duplicate names, both or neither of accept/connect,
 * `from` of an unknown hop or in a loop, two hops with the same rule, too many hops/rules.
 */
int ft_config_parse(const char *text, const char *file, struct ft_config *ret,
		    struct ft_buf *errors);

/* Durations "500ms", "1s", "10s", "5m", "1h" -> milliseconds. 0 or -EINVAL. */
int ft_duration_parse(const char *text, uint32_t *ret_ms);

/* Config text that ft_config_parse reads back to the same hops (used by discover): only hops,
 * in the order of their rules; a discovered listener's process is a comment, no condition. So is
 * what a discovered hop may be made on behalf of, if that could not be told. */
void ft_config_print(const struct ft_config *c, struct ft_buf *out);

/*
 * Give the hops of `c` the places that hops of the same name and side have in old[0..n), so that
 * what was counted stays theirs: a hop that is new comes behind, one that `c` does not name stays
 * as a retired one. Whatever the places, the rules keep their order. 0, -ENOMEM, -EINVAL (old[]
 * has names that no configuration has), or -E2BIG: more than FT_MAX_HOPS together; `c` is then as
 * it was.
 */
int ft_config_keep_places(struct ft_config *c, const struct ft_hop_def *old, uint32_t n);
/* Whether both have the same hops in the same order, with the same addresses and owners. */
bool ft_config_same_hops(const struct ft_config *a, const struct ft_config *b);
/* Only the hops that are in force, without gaps; their places are lost. */
void ft_config_drop_retired(struct ft_config *c);

/* Hop i of the config -> its row for readers and its rules for the kernel: first match wins.
 * Configured hops' rules are in config order; of the discovered ones those that name only a
 * port come last. Returns 0, -E2BIG (more than FT_MAX_RULES), or -EINVAL (an endpoint and a
 * peer that contradict each other; not after a successful ft_config_parse). */
int ft_config_compile(const struct ft_config *c, struct ft_hop_def def[FT_MAX_HOPS],
		      struct ft_rules *rules);

#endif
