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

static const char *const sorts[] = {"age", "idle", "unread", "hop", "state", "remote", NULL, NULL};

typedef int (*show_fn)(const struct ft_options *o, const struct ft_probe *p,
		       const struct ft_report *r, int hop);

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

	if (ft_probe_open(&p, FAKE_PINS, why, sizeof(why)))
		return;
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
	const char *hops = salt & 8 ? "hops = ({ name = \"hop:0\"; accept = \"80\"; },"
				      "{ name = \"hop:1\"; connect = \":8080\"; from = \"hop:0\"; })"
				    : "";

	if (ft_counting_start(&c, o, FAKE_PINS, hops))
		return;
	for (int tick = 0; tick < 3; tick++) {
		if (!ft_counting_tick(&c)) {
			ft_counting_report(&c, &r);
			FUZZ_CHECK(unique_names(&r), "two hops of one name");
			fuzz_check_views(&r, salt + (uint32_t)tick, true);
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

	fake_clock(1095 * SECOND);
	fake_file((const uint8_t *)"\x1b[1mcomm\n", 9);
	fake_maps(&in);
	look(&o, salt);
	count(&o, salt);
	fake_maps_close();
	fake_file(NULL, 0);
	return 0;
}
