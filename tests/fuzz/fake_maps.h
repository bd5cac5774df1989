/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libbpf's calls over maps in memory, so that the reading code runs as it is. Maps have the shape
 * and the contents of an agent at work; the input then changes single words, numbers of entries
 * and shapes, and makes calls fail. As the kernel would, a lookup writes as many bytes as the map's
 * shape says, whatever the caller has room for.
 */
#ifndef FT_FAKE_MAPS_H
#define FT_FAKE_MAPS_H

#include <stdint.h>

#include "fuzz.h"

#define FAKE_PINS     "/sys/fs/bpf/fuzz"
#define FAKE_MAX_CPUS 4

/* How the rows are filled before the input changes some. */
enum fake_fill { FAKE_WORKING, FAKE_ZERO, FAKE_ONES, FAKE_NOISE, FAKE_NFILLS };

/* Make all maps anew, from the head of the input. */
void fake_maps(struct fuzz_in *in);
/* What a map is called, as in its pin; -1: there is none. */
int fake_map_fd(const char *name);
/* The same for a map that this process made: nobody can have given it another shape. */
int fake_map_own(const char *name);
unsigned int fake_cpus(void);

#endif
