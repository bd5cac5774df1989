/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How far two words are apart, for typing errors. PURE. */
#ifndef FT_DISTANCE_H
#define FT_DISTANCE_H

/* Letters to insert, remove or replace to make one of the other; UINT_MAX: one of them has
 * FT_DISTANCE_LEN letters or more, and is no word that was mistyped. */
#define FT_DISTANCE_LEN 64
unsigned int ft_distance(const char *a, const char *b);

#endif
