/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Capabilities of a running agent: what only its start needs is given up. SHELL. */
#ifndef FT_PRIVILEGE_H
#define FT_PRIVILEGE_H

/*
 * To be called once, when counting has begun. Gives up for good every capability that an agent has
 * no use for any more, and what an exec could give. CAP_BPF and CAP_PERFMON, which loading
 * programs takes, leave the effective set: the kernel refuses what needs them until
 * ft_privilege_raise(). Says so and changes nothing if the kernel refuses.
 */
void ft_privilege_settle(void);

/* Around what loads and attaches programs later. Without effect before ft_privilege_settle(). */
void ft_privilege_raise(void);
void ft_privilege_lower(void);

#endif
