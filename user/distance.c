/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Levenshtein's distance, one row of the table at a time. */
#include <limits.h>
#include <string.h>

#include "distance.h"

static unsigned int smaller(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int ft_distance(const char *a, const char *b)
{
	unsigned int row[FT_DISTANCE_LEN], n = (unsigned int)strnlen(b, FT_DISTANCE_LEN);

	if (n == FT_DISTANCE_LEN || strnlen(a, FT_DISTANCE_LEN) == FT_DISTANCE_LEN)
		return UINT_MAX;
	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned int i = 1; a[i - 1]; i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= n; j++) {
			unsigned int above = row[j];

			row[j] = smaller(diagonal + (a[i - 1] != b[j - 1]),
					 smaller(above, row[j - 1]) + 1);
			diagonal = above;
		}
	}
	return row[n];
}
