/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* snapshot + history -> report. PURE: time enters as a number. */
#ifndef FT_MODEL_H
#define FT_MODEL_H

#include "report.h"
#include "snapshot.h"

/* Samples of the past, oldest first; one per second or slower. */
struct ft_history {
	unsigned int count;
	uint64_t active_mono_ns; /* the row that active[] belongs to; a loaded row has none */
	uint64_t active[FT_MAX_HOPS];
	struct ft_sample row[FT_HISTORY];
};

/* Append what the snapshot says: its counters, and the integral of `active` over time since the
 * previous row (trapezoid; the `active` of a loaded row is not known, today's stands in for
 * it). Rows must come in time order; one that is not newer than the last is ignored. When
 * full, the oldest goes. */
void ft_history_add(struct ft_history *h, const struct ft_snapshot *s);
/* Whether the snapshot is a row of its own: about a second later than the last. Who looks more
 * often must not fill the ring with a few seconds, or the long windows are gone. */
bool ft_history_wants(const struct ft_history *h, const struct ft_snapshot *s);

/*
 * A window of W seconds compares the snapshot with the row whose age is nearest to W, and
 * is absent when no row is older than 0.8 W, or none younger than 1.5 W + 1 s (a gap).
 * Rates divide by the row's real age. A hop that appeared within the window (its counters
 * are 0 in that row) is counted from 0.
 * flow[] is absent when from opened none in the window; stock when from has no active
 * flow; renewal when from's mean active flows over the window are 0. What pairing counts is
 * absent where it began after the row.
 */
void ft_model_build(const struct ft_snapshot *s, const struct ft_history *h, struct ft_report *ret);

#endif
