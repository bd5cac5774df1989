/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hops from what runs on the host. PURE: facts in, config hops out.
 *
 * Each (listening port, owner) is an accept hop; each (owner, remote port, realm) with
 * connections is a connect hop. Realms instead of free prefixes keep the result stable:
 * loopback (127.0.0.0/8 or ::1), private (10/8, 172.16/12, 192.168/16, 100.64/10,
 * 169.254/16, fc00::/7, fe80::/10), public (everything else).
 * `from`: a connect hop is made on behalf of the accept hop of the same owner (if it
 * has several, the one given the most flows; then the lowest port). An accept hop whose
 * port exactly one loopback connect hop reaches is made on behalf of that one.
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

enum ft_realm ft_realm_of(const uint8_t addr[16]);

/*
 * Add to `c` the hops that it does not have yet; existing hops keep their index, so that
 * it can be called again and again while running. Hop names are unique, made from the
 * process and port: "nginx:8080" accepts, "nginx->3000" connects; a realm other than
 * loopback is appended ("node->3306@private"). Returns the number of hops added;
 * *ret_dropped (may be NULL): how many facts did not fit into FT_MAX_HOPS and FT_MAX_RULES.
 */
unsigned int ft_discover_merge(struct ft_config *c, const struct ft_seen_listener *listeners,
			       unsigned int nlisteners, const struct ft_seen_connect *connects,
			       unsigned int nconnects, unsigned int *ret_dropped);

#endif
