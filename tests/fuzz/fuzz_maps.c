// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Everything that reads maps, over maps whose contents cannot be trusted: what `fantail show` does
 * with pinned ones, and an agent that adopts them and goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counting.h"
#include "fake_maps.h"
#include "fakes.h"
#include "fuzz.h"
#include "model.h"
#include "probe.h"
#include "show_flows.h"
#include "show_limits.h"
#include "show_pairs.h"

#define SECOND 1000000000ULL

#define HEAD   10 /* bytes before the changes: salt, and what fake_maps() reads first */
#define CHANGE 12

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* Of neighbouring seeds, nothing alike (splitmix64). */
static uint64_t mix(uint64_t n)
{
	n += 0x9e3779b97f4a7c15ULL;
	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9ULL;
	n = (n ^ n >> 27) * 0x94d049bb133111ebULL;
	return n ^ n >> 31;
}

/* A whole change at once, with a number that hurts; blind mutation seldom makes one. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static const uint64_t edges[] = {
		0,	    1,		2,	   3,	       63,	   64,	       65,
		127,	    255,	256,	   65535,      0x7fffffff, 0x80000000, 0xffffffff,
		1ULL << 32, 1ULL << 62, INT64_MAX, 1ULL << 63, UINT64_MAX,
	};
	uint64_t random = mix(seed), value;
	size_t changes = size > HEAD ? (size - HEAD) / CHANGE : 0, at;

	if (seed % 3 == 0 || size < HEAD || HEAD + (changes + 1) * CHANGE > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	at = HEAD + (random >> 60 < 10 ? changes : (random >> 40) % (changes + 1)) * CHANGE;
	value = edges[(random >> 32) % (sizeof(edges) / sizeof(edges[0]))];
	for (int i = 0; i < 4; i++)
		data[at + i] = (uint8_t)(random >> (8 * i));
	if (random >> 59 & 1) /* one of the first rows: they are in use */
		data[at + 1] &= 3;
	memcpy(data + at + 4, &value, sizeof(value));
	return at + CHANGE > size ? at + CHANGE : size;
}

static const char *const sorts[] = {"age", "idle", "unread", "hop", "state", "remote", NULL, NULL};

typedef int (*show_fn)(const struct ft_options *o, const struct ft_probe *p,
		       const struct ft_report *r, int hop);

static bool unchanged; /* the maps are as an agent has them: then all of it has to work */

/* What a command prints. */
static void check_list(const char *what, show_fn show, const struct ft_options *o,
		       const struct ft_probe *p, const struct ft_report *r, int hop)
{
	FILE *saved = stdout;
	char *text = NULL;
	size_t len = 0;
	int code;

	stdout = open_memstream(&text, &len);
	if (!stdout)
		abort();
	code = show(o, p, r, hop);
	fclose(stdout);
	stdout = saved;
	FUZZ_CHECK(!code || !unchanged, "show %s: exit status %d", what, code);
	if (!code && o->json)
		fuzz_check_json(what, text, len);
	else if (!code)
		fuzz_check_plain(what, text, len);
	free(text);
}

static bool unique_names(const struct ft_report *r)
{
	for (unsigned int i = 0; i < r->nhops; i++)
		for (unsigned int j = 0; j < i; j++)
			if (!strcmp(r->hop[i].name, r->hop[j].name))
				return false;
	return true;
}

static void look(const struct ft_options *o, uint32_t salt)
{
	static struct ft_snapshot s;
	static struct ft_history h;
	static struct ft_report r;
	struct ft_probe p = FT_PROBE_NONE;
	char why[128];
	int hop;

	if (ft_probe_open(&p, FAKE_PINS, why, sizeof(why))) {
		FUZZ_CHECK(!unchanged, "%s", why);
		return;
	}
	if (!ft_probe_snapshot(&p, &s) && !ft_probe_get_history(&p, &h) &&
	    !ft_probe_peers(&p, s.nhops, s.peers)) {
		FUZZ_CHECK(s.nhops <= FT_MAX_HOPS && h.count <= FT_HISTORY, "%u hops", s.nhops);
		ft_model_build(&s, &h, &r);
		fuzz_check_views(&r, salt, false);
		hop = r.nhops && salt & 4 ? (int)(salt % r.nhops) : -1;
		check_list("flows", ft_show_flows, o, &p, &r, hop);
		check_list("listeners", ft_show_listeners, o, &p, &r, hop);
		check_list("ports", ft_show_ports, o, &p, &r, hop);
		check_list("pairs", ft_show_pairs, o, &p, &r, hop);
	}
	ft_probe_close(&p);
}

static void check_snapshot(const struct ft_snapshot *s)
{
	static struct ft_snapshot again;
	char *text = ft_snapshot_to_json(s), why[160];

	FUZZ_CHECK(text, "no memory");
	fuzz_check_json("snapshot", text, strlen(text));
	if (!ft_snapshot_from_json(text, &again, why, sizeof(why)))
		FUZZ_CHECK(again.nhops == s->nhops, "%u hops became %u", s->nhops, again.nhops);
	free(text);
}

/* An agent that is started again, and counts on. */
static void count(const struct ft_options *o, uint32_t salt)
{
	static struct ft_counting c;
	static struct ft_report r;
	const char *hops = salt & 8
				   ? "hops = ({ name = \"hop:0\"; accept = \"80\"; },"
				     "{ name = \"hop:1\"; connect = \":8080\"; from = \"hop:0\"; })"
				   : "";

	if (ft_counting_start(&c, o, FAKE_PINS, hops)) {
		FUZZ_CHECK(!unchanged, "the maps were not adopted");
		return;
	}
	for (int tick = 0; tick < 2; tick++) {
		if (!ft_counting_tick(&c)) {
			ft_counting_report(&c, &r);
			FUZZ_CHECK(unique_names(&r), "two hops of one name");
			fuzz_check_views(&r, salt + (uint32_t)tick, true);
			if (salt & 32)
				check_snapshot(&c.snapshot);
		}
		fake_clock_add((1 + (salt >> tick & 7)) * SECOND);
	}
	ft_counting_close(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = {data, size};
	uint32_t salt = (uint32_t)fuzz_number(&in, 4);
	struct ft_options o = {
		.source = -1,
		.pins = FAKE_PINS,
		.json = salt & 1,
		.sort = sorts[salt >> 8 & 7],
		.limit = salt >> 11 & 7,
	};

	unchanged = size <= 4;
	fake_clock(1095 * SECOND);
	fake_file((const uint8_t *)"\x1b[1mcomm\n", 9);
	fake_maps(&in);
	if (salt & 16)
		count(&o, salt);
	else
		look(&o, salt);
	fake_file(NULL, 0);
	return 0;
}
