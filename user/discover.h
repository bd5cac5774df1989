/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hops from what runs on the host. PURE: facts in, config hops out.
 *
 * Each (listening port, owner) is an accept hop; each (owner, remote port, realm) with
 * connections is a connect hop. Realms instead of free prefixes keep the result stable:
 * loopback (127.0.0.0/8 or ::1), private (10/8, 172.16/12, 192.168/16, 100.64/10,
 * 169.254/16, fc00::/7, fe80::/10), public (everything else).
 * `from`: a connect hop is made on behalf of the accept hop of the same owner. If it has several,
 * of the one that its flows are said to be for beyond doubt: by votes, where they can be cast; else
 * by how many flows each has accepted. While there is doubt it has none: a ratio that is absent is
 * right, one of the wrong hop is not. An accept hop is made on behalf of the loopback connect hop
 * that reaches its port: the only one, or the one that makes nearly all of its flows.
 */
#ifndef FT_DISCOVER_H
#define FT_DISCOVER_H

#include "config.h"
#include "fantail.h"

struct ft_seen_listener {
	uint8_t addr[16];
	uint16_t port;
	char process[FT_COMM_LEN];
	uint32_t flows; /* accepted flows, if known */
};

struct ft_seen_connect {
	char process[FT_COMM_LEN];
	uint8_t raddr[16];
	uint16_t rport;
	uint32_t flows;
};

/* So often a thread that had read a flow of hop `connect` passed it on to a flow of hop `accept`.
 */
struct ft_seen_vote {
	char connect[FT_NAME_LEN], accept[FT_NAME_LEN];
	uint64_t votes;
};

/* What hop `connect` has counted. */
struct ft_seen_calls {
	char connect[FT_NAME_LEN];
	uint64_t flows;
};

/* All that was seen; the arrays are the caller's. */
struct ft_seen {
	const struct ft_seen_listener *listener;
	const struct ft_seen_connect *connect;
	const struct ft_seen_vote *vote;   /* of discovered connect hops, since voting began */
	const struct ft_seen_calls *calls; /* of the connect hops that there are */
	unsigned int nlisteners, nconnects, nvotes, ncalls;
	bool voting; /* votes are cast, or will be: wait for them */
};

/* Beyond doubt: so many votes (or flows) at least, and the best has so many of 100. */
#define FT_DISCOVER_ENOUGH 30
#define FT_DISCOVER_SURE   95
/* A `from` that has fewer of 100 votes (or flows) by now is taken away. */
#define FT_DISCOVER_DOUBT 90

enum ft_realm ft_realm_of(const uint8_t addr[16]);

/*
 * Add to `c` the hops that it does not have yet; existing hops keep their index, so that
 * it can be called again and again while running. Hop names are unique, made from the
 * process and port: "nginx:8080" accepts, "nginx->3000" connects; a realm other than
 * loopback is appended ("node->3306@private"). Returns the number of hops added;
 * *ret_dropped (may be NULL): how many facts did not fit into FT_MAX_HOPS and FT_MAX_RULES.
 *
 * The `from` of a discovered hop is filled in as soon as it is known, and taken away when it turns
 * out to be false: when others than that connect hop make more than a few of an accept hop's
 * flows, or votes have become mixed.
 */
unsigned int ft_discover_merge(struct ft_config *c, const struct ft_seen *seen,
			       unsigned int *ret_dropped);

/* The accept hops on whose behalf connect hop `hop` may be made: their number, and which. */
unsigned int ft_discover_candidates(const struct ft_config *c, unsigned int hop,
				    unsigned int ret[FT_MAX_HOPS]);

#endif
