/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One counting session, whoever runs it: the agent, or a view that counts for itself.
 * Configuration or discovery -> programs -> hops -> first walk -> one tick per second. SHELL.
 */
#ifndef FT_COUNTING_H
#define FT_COUNTING_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "model.h"
#include "netns.h"
#include "options.h"
#include "probe.h"
#include "report.h"
#include "snapshot.h"

/* Work that is O(flows) or O(sockets): as often as it may cost FT_BUDGET of a core. */
struct ft_errand {
	uint64_t due_ns, min_ns;
};

struct ft_counting {
	const struct ft_options *options;
	struct ft_config config;
	bool discover;
	struct ft_probe probe;
	struct ft_netns ns;
	struct ft_snapshot snapshot;
	struct ft_history history;
	uint32_t peers[FT_MAX_HOPS];
	struct ft_errand peers_errand, owners_errand, files_errand, ports_errand;
	struct ft_port_key *idle_ports; /* see counting_ports.h */
	size_t nidle_ports;
	struct {
		int scan, discover; /* see ft_log_failing() */
	} failed;
	uint64_t scan_due_ns;
	unsigned int scans;
	bool suspicious; /* the next scan has to sweep */
	bool rules_full;
	const char *pins; /* where the maps are pinned; NULL: nowhere */
	struct ft_pairing *pairing;
};

/*
 * The configuration that the options ask for: -c FILE, else the default file if there is one,
 * else discovery; options override it. 0, perhaps with warnings in errors, or an exit code with
 * lines for the user there.
 */
int ft_counting_config(const struct ft_options *o, struct ft_config *ret, bool *ret_discover,
		       struct ft_buf *errors);

/* What the command line says, on top of `c`. */
void ft_counting_override(struct ft_config *c, const struct ft_options *o);

/*
 * Load and start to count. pins: adopt what is pinned there, or pin ours; NULL: neither.
 * config_text: hops instead of any file (demo); "": discover, without pairs; NULL: as configured.
 * 0, or an exit code after logging why. c is large: allocate it; after a failure it is closed.
 */
int ft_counting_start(struct ft_counting *c, const struct ft_options *o, const char *pins,
		      const char *config_text);

/*
 * Read the configuration again and go on with it; what was counted stays. 0, or an exit code after
 * logging why: then all is as it was. What the maps were made for is not changed, and said.
 */
int ft_counting_reload(struct ft_counting *c);

/* Once a second: read, remember, look for new hops, audit. 0 or -errno. */
int ft_counting_tick(struct ft_counting *c);

void ft_counting_report(struct ft_counting *c, struct ft_report *ret);

/* Walk the flows for the number of peers now, whatever it costs. */
void ft_counting_peers(struct ft_counting *c);

void ft_counting_close(struct ft_counting *c); /* NULL-safe */

#endif
