/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of the ABI's numbers. PURE. Every name function is bounds-checked: "?" for a number
 * that is not in its table. */
#ifndef FT_TCP_H
#define FT_TCP_H

#include "fantail.h"
#include "fantail_pair.h"

const char *ft_state_name(unsigned int state);	    /* "ESTABLISHED"; "UNSEEN" for 0 */
const char *ft_state_label(unsigned int state);	    /* "established": JSON keys, labels */
const char *ft_side_name(unsigned int side);	    /* "accept", "connect" */
const char *ft_closed_name(unsigned int reason);    /* "local", "remote", "reset", "other" */
const char *ft_failed_name(unsigned int reason);    /* "refused", "timeout", … */
const char *ft_pair_loss_name(unsigned int reason); /* enum ft_pair_loss */
const char *ft_pair_loss_help(unsigned int reason); /* one short sentence for people */
const char *ft_loss_name(unsigned int reason);	    /* "table_full", … */
const char *ft_loss_help(unsigned int reason);	    /* one short sentence for people */
const char *ft_source_name(unsigned int source);    /* "tracepoint", "sockops" */

extern const unsigned int ft_lifetime_bounds_ms[FT_NLIFETIME - 1];

#endif
