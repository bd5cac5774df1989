/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The shape of each map, as bpf/ has them, and what is in it while an agent works. */
#ifndef FT_FAKE_ROWS_H
#define FT_FAKE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

struct fake_shape {
	const char *name; /* of its pin; pairing's that are not pinned begin with "own_" */
	uint32_t type, key_size, value_size, max_entries;
	uint32_t rows; /* that are there at first */
	bool always;   /* without it nothing else would be read: fake_row() in every fill */
};

enum {
	FAKE_META,
	FAKE_HOPS,
	FAKE_CONTROL,
	FAKE_RULES,
	FAKE_FLOWS,
	FAKE_STATS,
	FAKE_TOTALS,
	FAKE_LISTENERS,
	FAKE_PORTS,
	FAKE_CANDIDATES,
	FAKE_HISTORY,
	FAKE_OWNERS,
	FAKE_WALKED,
	FAKE_SCANS,
	FAKE_SCAN,
	FAKE_LIMITS,
	FAKE_SPACES,
	FAKE_PORTS_USED,
	FAKE_PAIRINGS,
	FAKE_PAIR_LOSS,
	FAKE_PAIR_FLOWS,
	FAKE_PAIR_EDGES,
	FAKE_PAIR_THREADS,
	FAKE_PAIR_CLOSED,
	FAKE_PAIR_STATS,
	FAKE_PAIR_TOTALS,
	FAKE_PAIR_CONTROL,
	FAKE_DUMP,    /* no map: what the dump writes */
	FAKE_HOLDERS, /* the same: who holds which socket */
	FAKE_NMAPS
};
extern const struct fake_shape fake_shapes[FAKE_NMAPS];

/* Key and value of a row, which are zero before, but for the key: its number. */
void fake_row(int map, uint32_t row, void *key, void *value);

#endif
