/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every BPF test needs: a network namespace of its own, the probe at one door or at both
 * at once, plain sockets, and exact expectations.
 *
 * A test is a process, so there is one kit per process and no handle. Everything that
 * cannot fail in a sound environment ends the test instead of returning an error. kit_end is
 * every suite's .fini: it takes down what the test left.
 */
#ifndef FT_KIT_H
#define FT_KIT_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "probe.h"

#define KIT_TRACEPOINT (1U << FT_SOURCE_TRACEPOINT)
#define KIT_SOCKOPS    (1U << FT_SOURCE_SOCKOPS)
#define KIT_BOTH       (KIT_TRACEPOINT | KIT_SOCKOPS)

/* A test that cannot run here says why; the runner decides whether that is allowed. */
#define kit_skip(...)                                                                              \
	do {                                                                                       \
		fprintf(stderr, "SKIP: " __VA_ARGS__);                                             \
		fputc('\n', stderr);                                                               \
		cr_skip_test();                                                                    \
	} while (0)

/* --- probe --- */

struct kit_options {
	uint32_t max_flows; /* 0: 262144 */
	bool all_netns;	    /* tracepoint: count every namespace, not only the test's */
	bool discover;
	bool preemptible; /* as on a kernel that preempts tracing programs */
};

/* Step into a new network namespace with lo up, where ACKs are not delayed. Done by kit_load;
 * earlier for sockets that have to be there first. Idempotent. */
void kit_isolate(void);
/* Step into a private cgroup2 directory. As above. */
void kit_enter_cgroup(void);
/* Load and attach at these doors; counting is off. */
void kit_load(unsigned int doors, const struct kit_options *o);
/* Hops as in a configuration: what stands between "hops = (" and ");". */
void kit_hops(const char *hops);
/* Begin to count, at every door that is loaded. */
void kit_start(void);
/* The three above; for tests in which nothing happens in between. */
void kit_count(unsigned int doors, const char *hops);
void kit_end(void);

struct ft_probe *kit_probe(enum ft_source source);
/* The counters of a door now; valid until the next call for this door. */
const struct ft_snapshot *kit_read(enum ft_source source);
/* One walk of the audit over the test's own namespace, said to be `walked`. */
void kit_audit_once(uint32_t walked);
/* As many as it takes to repair everything (two must miss a socket), over the test's own
 * namespace and that of `path`, if not NULL. */
void kit_audit(const char *path);
/* Scan the test's own namespace, and what that found at this hop (FT_MAX_HOPS: altogether);
 * kit_found: what the last scan did. */
struct ft_hop_scan kit_scan(int hop);
struct ft_hop_scan kit_found(int hop);
void kit_scan_nothing(void); /* a scan that may enter no namespace */
uint32_t kit_netns(void);    /* inode of the test's namespace */

/* Open flows in the table of a door; hop -1: of all. */
unsigned int kit_flows(enum ft_source source, int hop);
/* The entry of the flow with this remote port at this hop; false: none. */
bool kit_find_flow(enum ft_source source, int hop, uint16_t rport, uint64_t *ret_key,
		   struct ft_flow *ret);

/* --- expectations --- */

/* Ways through the states that occur again and again. */
#define KIT_ACCEPTED  "LISTEN SYN_RECV ESTABLISHED "
#define KIT_CONNECTED "CLOSE SYN_SENT ESTABLISHED "

/* What a hop should have. */
struct kit_hop {
	uint64_t opened, preexisting;
	uint64_t closed[FT_NCLOSED], failed[FT_NFAILED];
	uint64_t transition[FT_NSTATES][FT_NSTATES];
	uint64_t untimed; /* closed flows without a lifetime: their opening was not seen */
};

/* Add n flows that went through these states to the matrix of *e. */
void kit_path(struct kit_hop *e, uint64_t n, const char *states);

/*
 * Every loaded door has exactly these counters for this hop - each cell of the matrix, opened,
 * preexisting, closed, failed, one lifetime per close - now or within ten seconds (the last
 * segments of a close may be on their way), and they stay. If both doors are loaded, their
 * lifetimes are in the same buckets.
 */
void kit_expect(const char *hop, const struct kit_hop *e);
/* As above for the hops 0..n-1, and then: nothing was lost, no flow is left in the table
 * beyond the active ones. */
void kit_expect_all(const struct kit_hop *e, unsigned int n);
/* Wait until no counter has changed for a tenth of a second; on an emulated CPU for half a second:
 * its host may let one of two CPUs wait so long. */
void kit_settle(void);
/* CLOCK_MONOTONIC, for what is held against the kernel's times. */
uint64_t kit_now_ns(void);
/* The bucket of a lifetime. */
int kit_lifetime_bucket(uint64_t ns);
/* At every door that is loaded the one flow of this hop (0, 1, ...) that has closed has lived so
 * long, and is in the bucket of that. */
void kit_expect_lifetime(unsigned int hop, uint64_t at_least_ns, uint64_t at_most_ns);
/* Loss counters are 0 but for those whose bit is set in `allowed` (1 << FT_LOSS_…). */
void kit_expect_loss(unsigned int allowed);
#define KIT_LOSS_MISSED                                                                            \
	(1U << FT_LOSS_MISSED_TRANSITION | 1U << FT_LOSS_MISSED_OPEN | 1U << FT_LOSS_MISSED_CLOSE)

/* --- sockets: addresses are text, IPv6 if they hold a colon --- */

/* Listen on addr:port; port 0: any free one. */
int kit_listen(const char *addr, uint16_t port);
int kit_listen_at(int protocol, const char *addr, uint16_t port, int backlog);
/* Connect, from a given address and port if `from` is not NULL. -errno when refused etc. */
int kit_connect(const char *addr, uint16_t port);
int kit_connect_from(const char *from, uint16_t from_port, const char *addr, uint16_t port);
/* The same without waiting: the socket, or -errno if it failed at once. */
int kit_connect_begin(const char *from, uint16_t from_port, const char *addr, uint16_t port);
int kit_accept(int listener);

struct kit_pair {
	int client, server;
};
struct kit_pair kit_pair(int listener, const char *addr, uint16_t port);

void kit_reset(int fd);	    /* close with linger 0: a RST */
void kit_await_end(int fd); /* read to the end, or to the RST */
void kit_send(int fd, size_t bytes);
/* Until so many bytes can be read: what was sent may still wait for a softirq, on loopback too. */
void kit_await_data(int fd, int bytes);
uint16_t kit_port(int fd); /* local */
void kit_close_client_first(struct kit_pair p);
void kit_close_server_first(struct kit_pair p);
void kit_sleep_ms(unsigned int ms);
void kit_stay_here(void); /* on the CPU where it runs now */
/* Run a command in the test's namespaces; its first output line in out (may be NULL). */
int kit_run(const char *command, char *out, size_t size);
/* Path of the generator: $FT_CONNGEN, or where the Makefile puts it. */
const char *kit_conngen(void);
/* How many connections a storm of n makes here: n, or the part of it that $FT_STORM_DIVISOR asks
 * for, which says that this CPU is emulated and slow. */
unsigned int kit_storm(unsigned int n);
bool kit_emulated(void);

#endif
