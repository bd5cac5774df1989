// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A recording from another host: whatever of it is accepted must survive being written and read
 * again, and every view of it must be well-formed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakes.h"
#include "fuzz.h"
#include "model.h"
#include "replay.h"

#define MAX_LINES 64
#define MAX_VIEWS 4 /* of the first lines: they cost most */

/* Numbers are what a recording consists of, and their edges are where it hurts. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static const char *const edges[] = {
	"0",
	"1",
	"-1",
	"2",
	"-2",
	"3",
	"11",
	"12",
	"13",
	"14",
	"63",
	"64",
	"65",
	"127",
	"128",
	"255",
	"256",
	"1000000000",
	"2147483648",
	"4294967295",
	"4294967296",
	"9223372036854775806",
	"9223372036854775807",
	"18446744073709551615",
	"999999999999999999999999",
	"1e300",
	"null",
};

static size_t replace(uint8_t *data, size_t size, size_t max_size, size_t at, size_t old,
		      const char *new)
{
	size_t len = strlen(new);

	if (size - old + len > max_size)
		return size;
	memmove(data + at + len, data + at + old, size - at - old);
	memcpy(data + at, new, len);
	return size - old + len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t at = size ? seed / 16 % size : 0, len = 0;

	if (seed & 3)
		return LLVMFuzzerMutate(data, size, max_size);
	while (at < size && (data[at] < '0' || data[at] > '9'))
		at++;
	while (at + len < size && data[at + len] >= '0' && data[at + len] <= '9')
		len++;
	if (!len)
		return LLVMFuzzerMutate(data, size, max_size);
	return replace(data, size, max_size, at, len,
		       edges[seed / 4 % (sizeof(edges) / sizeof(edges[0]))]);
}

/* Nothing that is out of range reaches the model, which would cope. */
static void check_ranges(const struct ft_snapshot *s)
{
	FUZZ_CHECK(s->nhops <= FT_MAX_HOPS && s->source < FT_NSOURCES, "%u hops", s->nhops);
	for (unsigned int i = 0; i < s->nhops; i++) {
		const struct ft_hop_def *d = &s->def[i];

		FUZZ_CHECK(d->from >= -1 && d->from < (int)s->nhops, "from %d", d->from);
		FUZZ_CHECK(d->side < FT_NSIDES && d->name[0], "side %u", d->side);
		FUZZ_CHECK(memchr(d->name, 0, sizeof(d->name)) &&
				   memchr(d->port, 0, sizeof(d->port)) &&
				   memchr(d->process, 0, sizeof(d->process)),
			   "a text without an end");
	}
}

/* What it says as text, it says again as a snapshot. */
static void check_again(const struct ft_snapshot *s)
{
	static struct ft_snapshot again;
	char *text = ft_snapshot_to_json(s), *twice, why[160];

	FUZZ_CHECK(text && !ft_snapshot_from_json(text, &again, why, sizeof(why)), "%s: %s", why,
		   text);
	twice = ft_snapshot_to_json(&again);
	FUZZ_CHECK(!strcmp(text, twice), "%s\nbecame\n%s", text, twice);
	free(text);
	free(twice);
}

static void check_history(const struct ft_history *h)
{
	FUZZ_CHECK(h->count <= FT_HISTORY, "%u rows", h->count);
	for (unsigned int i = 1; i < h->count; i++)
		FUZZ_CHECK(h->row[i - 1].mono_ns < h->row[i].mono_ns, "rows out of order");
}

/* False: it was not read to its end. */
static bool replay(struct ft_report *report, bool to_end, uint32_t salt)
{
	static struct ft_replay r;
	int err = 0;

	if (ft_replay_open(&r, "recording", to_end))
		return false;
	for (int line = 0; !err && line < MAX_LINES; line++) {
		check_ranges(&r.snapshot);
		check_again(&r.snapshot);
		err = ft_replay_refresh(&r, report);
		check_history(&r.history);
		if (line < MAX_VIEWS)
			fuzz_check_views(report, salt + (uint32_t)line, true);
	}
	ft_replay_close(&r);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ft_report stepped, last;

	fake_file(data, size);
	if (replay(&stepped, false, (uint32_t)size * 2654435761U)) {
		fake_file(data, size);
		FUZZ_CHECK(replay(&last, true, (uint32_t)size), "it has no end");
		FUZZ_CHECK(!memcmp(&stepped, &last, sizeof(last)), "the last report is another");
	}
	fake_file(NULL, 0);
	return 0;
}
