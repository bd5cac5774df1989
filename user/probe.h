/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The door to the kernel: load or adopt the BPF programs, tell them the hops, read what they
 * counted. Nothing else in user space knows that there are maps. SHELL.
 *
 * All functions return 0 or -errno unless they say otherwise.
 */
#ifndef FT_PROBE_H
#define FT_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "fantail.h"
#include "fantail_pair.h"
#include "snapshot.h"

#define FT_DEFAULT_PINS "/sys/fs/bpf/fantail"

/* Kernel objects by role; fd -1: not there. Order = pin names in probe_pins.c. */
enum ft_map {
	FT_MAP_FLOWS,
	FT_MAP_STATS,
	FT_MAP_TOTALS,
	FT_MAP_LISTENERS,
	FT_MAP_PORTS,
	FT_MAP_CANDIDATES,
	FT_MAP_META,
	FT_MAP_HOPS,
	FT_MAP_HISTORY,
	FT_MAP_RULES,
	FT_MAP_CONTROL,
	FT_MAP_OWNERS,
	FT_MAP_WALKED,
	FT_MAP_SCANS,
	FT_MAP_SCAN,
	FT_MAP_LIMITS,
	FT_MAP_SPACES,
	FT_MAP_PORTS_USED,
	FT_MAP_PAIRINGS,
	FT_MAP_PAIR_LOSS,
	FT_NMAPS
};
enum ft_link {
	FT_LINK_STATE,	     /* tracepoint: ft_state; sockops: the cgroup attachment */
	FT_LINK_STATE_AGAIN, /* tracepoint only */
	FT_LINK_STATE_THIRD, /* where tracing programs may be preempted */
	FT_LINK_WALK,	     /* iterators; sockops has none */
	FT_LINK_DUMP,
	FT_LINK_SWEEP,
	FT_LINK_HOLDERS,
	FT_NLINKS
};

struct ft_probe {
	int map[FT_NMAPS];
	int link[FT_NLINKS];
	int ncpus;
	struct ft_meta meta;
	bool adopted;	/* the objects were there before this process */
	bool owner;	/* loaded here: the programs know the process that connects */
	void *skeleton; /* owner of what this process loaded; NULL when adopted */
};

struct ft_probe_options {
	enum ft_source source;
	const char *cgroup; /* source sockops: directory in cgroup2 */
	uint32_t max_flows;
	uint32_t netns;	      /* inode number; 0 all */
	uint32_t interval_ms; /* for readers */
	uint32_t one_shot_ms; /* see struct ft_control */
	bool discover;
	bool single;	  /* benchmark only: attach the first program alone */
	bool preemptible; /* as if this kernel preempted tracing programs; else it is found out */
};

#define FT_PROBE_NONE                                                                              \
	{                                                                                          \
		.map = {[0 ... FT_NMAPS - 1] = -1}, .link = { [0 ... FT_NLINKS - 1] = -1 }         \
	}

/* libbpf's messages go to our log, and memory is not limited: before anything else. Loading does
 * it, too; adopting has to ask for it. Idempotent. */
void ft_probe_prepare(void);

/* Whether this kernel may preempt a tracing program (see tracepoint.bpf.c). */
bool ft_probe_preemptible(void);

/*
 * Load and attach, with counting still off. On failure returns -errno and one line for the
 * user, with the remedy, in why. *p is closed on failure.
 */
int ft_probe_load(struct ft_probe *p, const struct ft_probe_options *o, char *why, size_t why_len);

/* Hops and rules of `c`; hops that are there already must not change their index (see
 * ft_config_keep_places). While counting, call ft_probe_fill() after it: it finds the open flows
 * of hops that are new, or have other rules. */
int ft_probe_set_hops(struct ft_probe *p, const struct ft_config *c);
int ft_probe_get_hops(const struct ft_probe *p, struct ft_hop_def def[FT_MAX_HOPS],
		      uint32_t *ret_nhops);

/* What else a configuration may change while counting. */
int ft_probe_set_switches(struct ft_probe *p, bool discover, uint32_t one_shot_ms);

/*
 * Begin to count: enable the programs, then fill in what was open before, in the network
 * namespaces nsfd[0..n) (n = 0: only this process's). Listeners and flows that were there get
 * their owners from /proc when some rule or discovery needs them.
 */
int ft_probe_start(struct ft_probe *p, const int *nsfd, size_t n, bool need_owners);
/* Look for preexisting flows again, for hops that were added: flows that are in the table
 * stay as they are. */
int ft_probe_fill(struct ft_probe *p, const int *nsfd, size_t n);

/* --- scans (probe_walk.c, probe_scan.c) --- */
/*
 * Walk over all sockets: add up what no transition shows (struct ft_hop_scan), and hold the
 * table against them: count what was missed, remove what is gone. Costs about half a µs per
 * socket, so the caller chooses how often. sweep: remove, too; it looks at the whole table, and
 * where the flows met are as many as the active ones there is nothing to find. What the walk
 * cannot reach (a namespace without a name) is believed when sweeping. inode[]: the namespaces'
 * own. -EOPNOTSUPP: source sockops, whose programs see no namespaces. *ret_number is written when
 * the scan has begun.
 */
int ft_probe_scan(struct ft_probe *p, const int *nsfd, const uint32_t *inode, size_t n, bool sweep,
		  uint32_t *ret_number);
/* What scan `number`, the last or the one before, found at a hop; FT_MAX_HOPS: altogether. */
int ft_probe_found(const struct ft_probe *p, uint32_t number, uint32_t hop,
		   struct ft_hop_scan *ret);
/* The last complete scan, and what the agent found beside it. put_scan last: it makes the
 * scan's findings what readers see. */
int ft_probe_get_scan(const struct ft_probe *p, struct ft_scan *ret);
int ft_probe_put_scan(struct ft_probe *p, const struct ft_scan *scan);
int ft_probe_get_limits(const struct ft_probe *p, uint32_t hop, struct ft_hop_limits *ret);
int ft_probe_put_limits(struct ft_probe *p, uint32_t hop, const struct ft_hop_limits *limits);
int ft_probe_get_pairs(const struct ft_probe *p, uint32_t hop, struct ft_hop_pairs *ret);
int ft_probe_put_pairs(struct ft_probe *p, uint32_t hop, const struct ft_hop_pairs *pairs);
int ft_probe_get_pair_loss(const struct ft_probe *p, struct ft_pair_totals *ret);
int ft_probe_put_pair_loss(struct ft_probe *p, const struct ft_pair_totals *loss);
int ft_probe_put_space(struct ft_probe *p, uint32_t netns, const struct ft_space *space);
int ft_probe_drop_space(struct ft_probe *p, uint32_t netns);
int ft_probe_drop_ports(struct ft_probe *p, const struct ft_ports_key *key);
int ft_probe_forget_port(struct ft_probe *p, const struct ft_port_key *key);

/* Read the counters: O(hops), not O(flows). peers[] is left FT_PEERS_UNKNOWN. */
int ft_probe_snapshot(const struct ft_probe *p, struct ft_snapshot *ret);

/* So many more connects had a destination that was no hop yet. */
void ft_probe_add_undiscovered(struct ft_probe *p, uint64_t connects);
/* So many hops that discovery found just now have no room (loss no_rule_slot, a counter: the most
 * at once; what connects is found, and missed, again and again). */
void ft_probe_set_no_room(struct ft_probe *p, uint32_t hops);

/* Call fn for every open flow; stops and returns fn's value when it is not 0. */
typedef int (*ft_flow_fn)(void *ctx, uint64_t key, const struct ft_flow *flow);
int ft_probe_flows(const struct ft_probe *p, ft_flow_fn fn, void *ctx);
int ft_probe_flow(const struct ft_probe *p, uint64_t key, struct ft_flow *ret); /* one of them */
typedef int (*ft_listener_fn)(void *ctx, uint64_t key, const struct ft_listener *l);
int ft_probe_listeners(const struct ft_probe *p, ft_listener_fn fn, void *ctx);
/* Ports that have or had a listener. */
typedef int (*ft_port_fn)(void *ctx, const struct ft_port_key *key);
int ft_probe_listening_ports(const struct ft_probe *p, ft_port_fn fn, void *ctx);
typedef int (*ft_ports_fn)(void *ctx, const struct ft_ports_key *key,
			   const struct ft_ports_used *used);
int ft_probe_ports(const struct ft_probe *p, ft_ports_fn fn, void *ctx);
typedef int (*ft_space_fn)(void *ctx, uint32_t netns, const struct ft_space *space);
int ft_probe_spaces(const struct ft_probe *p, ft_space_fn fn, void *ctx);
/* The candidates noted since the last call; they are removed. */
typedef int (*ft_candidate_fn)(void *ctx, const struct ft_candidate_key *key,
			       const struct ft_candidate *c);
int ft_probe_candidates(struct ft_probe *p, ft_candidate_fn fn, void *ctx);

/* All TCP sockets of the namespaces, one row each. *ret is malloc'ed, owned by the caller. */
int ft_probe_dump(const struct ft_probe *p, const int *nsfd, size_t n, struct ft_sock_row **ret,
		  size_t *ret_rows);

/* Who holds which socket: from the kernel, which tells the agent of every process; where it does
 * not, from /proc. */
struct ft_owners;
int ft_probe_owners(const struct ft_probe *p, struct ft_owners *ret);

/* Count distinct remote addresses per accept hop by walking the table: O(flows). */
int ft_probe_peers(const struct ft_probe *p, uint32_t nhops, uint32_t peers[FT_MAX_HOPS]);

/* History for one-shot readers. */
int ft_probe_put_sample(struct ft_probe *p, const struct ft_sample *s);
struct ft_history;
int ft_probe_get_history(const struct ft_probe *p, struct ft_history *ret);

/* Name the owner of a hop for readers; rules are not touched. */
int ft_probe_set_process(struct ft_probe *p, uint32_t hop, const char *process);
enum ft_phase ft_probe_phase(const struct ft_probe *p);
/* Whether its programs were told to count only network namespace `netns` (0: all). */
bool ft_probe_has_netns(const struct ft_probe *p, uint32_t netns);
/* Count this one instead of another. What is open there counts as preexisting: call ft_probe_fill()
 * after it. */
int ft_probe_set_netns(struct ft_probe *p, uint32_t netns);
/* The rules in force. */
int ft_probe_get_rules(const struct ft_probe *p, struct ft_rules *ret);
/* Whether the rules in force are these. */
bool ft_probe_same_rules(const struct ft_probe *p, const struct ft_rules *rules);
/* Say that this process, of this version, is the agent now. */
int ft_probe_take_over(struct ft_probe *p, uint32_t interval_ms);

/* --- pins (probe_pins.c) --- */
/* Make every object outlive this process. -errno when bpffs is missing or full; -EEXIST: there is a
 * directory in which others may write. */
int ft_probe_pin(struct ft_probe *p, const char *dir);
/* Open what is pinned in dir. -ENOENT: nothing there, or a directory in which others may write.
 * -ESTALE: something is there that is incomplete or of another ABI; why says what. */
int ft_probe_adopt(struct ft_probe *p, const char *dir, char *why, size_t why_len);
/* The same for a reader, who must not keep the programs attached when the agent lets go: of the
 * links only the dump's is opened. */
int ft_probe_open(struct ft_probe *p, const char *dir, char *why, size_t why_len);
/* Remove what fantail pinned in dir, and dir if nothing else is in it. Returns the number of
 * objects removed; names that are not ours stay. */
int ft_probe_unpin(const char *dir);

/* Detaches what is not pinned; NULL-safe and idempotent. */
void ft_probe_close(struct ft_probe *p);

#endif
