/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What follows from a scan and from the kernel's own files: drift, ports, exhaustion. PURE. */
#ifndef FT_SCANNED_H
#define FT_SCANNED_H

#include <stdbool.h>
#include <stdint.h>

#include "fantail.h"

/*
 * Active flows by events minus flows that the walk met. Connections come and go while it walks:
 * before and after are the hop's counters around it, and only what those cannot explain is
 * drift. Positive: ends were missed, or a flow was counted twice; negative: opens were missed.
 */
int64_t ft_scanned_drift(const struct ft_hop_stats *before, const struct ft_hop_stats *after,
			 const struct ft_hop_scan *met);

/*
 * What two scans in a row found off in the same direction is no matter of timing any more:
 * adds the smaller of the two to the repairs. Returns what is left of `drift`.
 */
int64_t ft_scanned_repair(int64_t drift_before, int64_t drift, struct ft_hop_limits *limits);

/* A flow that has no entry may be counted all the same: then the table proves nothing. */
bool ft_scanned_overflowed(const struct ft_totals *t);

/*
 * Ports that a connect() may choose from: range is "LOW HIGH" as in ip_local_port_range,
 * reserved a list "1,5-7" as in ip_local_reserved_ports. The kernel walks the odd and the even
 * half by turns, and an odd range loses its last port (net/ipv4/inet_hashtables.c). 0: unreadable.
 */
uint32_t ft_scanned_ports(const char *range, const char *reserved);

/* Until a destination has used `limit` ports, at the rate between the last two scans; 0: never,
 * or not known yet. */
uint64_t ft_scanned_exhausted_ns(const struct ft_ports_used *used, uint32_t limit);

/* A counter of /proc/net/netstat's TcpExt line; false: it is not there. */
bool ft_scanned_netstat(const char *text, const char *counter, uint64_t *ret);

/* How many files a process may open: the soft limit of /proc/PID/limits; UINT32_MAX: as many as it
 * likes. 0: unreadable. */
uint32_t ft_scanned_files(const char *text);

#endif
