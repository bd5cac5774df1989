// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The checks that ask the kernel itself: what loads, and what does not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_internal.h"
#include "cleanup.h"
#include "config.h"
#include "counting.h"
#include "log.h"
#include "probe.h"
#include "probe_pair.h"

struct ft_check_wanted ft_check_wanted(const struct ft_options *o)
{
	struct ft_check_wanted w = {.sockops = o->source == FT_SOURCE_SOCKOPS,
				    .source_set = o->source >= 0,
				    .pairs = true};
	_free_ struct ft_config *c = calloc(1, sizeof(*c));
	struct ft_buf errors = {0};
	bool discover;

	if (c && !ft_counting_config(o, c, &discover, &errors)) {
		w.sockops = c->source == FT_SOURCE_SOCKOPS;
		w.source_set = c->source_set;
		w.pairs = c->pairs;
		memcpy(w.cgroup, c->cgroup, sizeof(w.cgroup));
		if (c->netns == FT_NETNS_PATH)
			memcpy(w.netns, c->netns_path, sizeof(w.netns));
	}
	ft_buf_close(&errors);
	return w;
}

static int load(const struct ft_check_wanted *w, struct ft_probe *ret, char *why, size_t why_len)
{
	struct ft_probe_options po = {
		.source = w->sockops ? FT_SOURCE_SOCKOPS : FT_SOURCE_TRACEPOINT,
		.max_flows = 1024,
	};
	char root[512] = "";

	if (!ft_check_cgroup2(root, sizeof(root)))
		po.cgroup = w->cgroup[0] ? w->cgroup : root;
	*ret = (struct ft_probe)FT_PROBE_NONE;
	return ft_probe_load(ret, &po, why, why_len);
}

enum status ft_check_programs(const struct ft_options *o, struct result *r)
{
	struct ft_check_wanted w = ft_check_wanted(o);
	struct ft_probe p;
	char why[256];

	if (!load(&w, &p, r->text, sizeof(r->text))) {
		ft_probe_close(&p);
		SAY(r, "the programs load and attach");
		return CHECK_OK;
	}
	ft_log(FT_LOG_DEBUG, "%s", ft_log_libbpf_tail());
	w.sockops = true;
	if (!w.source_set && !load(&w, &p, why, sizeof(why))) {
		ft_probe_close(&p);
		snprintf(why, sizeof(why), "%.200s", r->text);
		SAY(r, "%s; those of source sockops load", why);
		REMEDY(r, "they are taken instead; the kernel's words: fantail check -v");
		return CHECK_WARN;
	}
	REMEDY(r, "see the kernel's words: fantail check -v");
	return CHECK_FAIL;
}

enum status ft_check_pairs(const struct ft_options *o, struct result *r)
{
	static const char *const doors[] = {
		[FT_PAIR_TRACEPOINT] = "the kernel's tracepoints",
		[FT_PAIR_FEXIT] = "fentry and fexit",
		[FT_PAIR_KPROBE] = "kprobes",
	};
	struct ft_probe_pair pair = FT_PROBE_PAIR_NONE;
	struct ft_probe_pair_options po = {.max_flows = 1024};
	struct ft_check_wanted w = ft_check_wanted(o);
	struct ft_probe p;

	if (!w.pairs || w.sockops) {
		SAY(r, w.pairs ? "source sockops does not pair flows" : "pairs are not asked for");
		return CHECK_OK;
	}
	if (load(&w, &p, r->text, sizeof(r->text))) {
		REMEDY(r, "the check before has the reason");
		return CHECK_WARN;
	}
	if (ft_probe_pair_load(&pair, p.map[FT_MAP_FLOWS], &po, r->text, sizeof(r->text))) {
		ft_log(FT_LOG_DEBUG, "%s", ft_log_libbpf_tail());
		ft_probe_close(&p);
		REMEDY(r, "everything else works without; to be quiet about it: pairs = false;");
		return CHECK_WARN;
	}
	SAY(r, "flows are paired by %s", doors[pair.door]);
	ft_probe_pair_close(&pair);
	ft_probe_close(&p);
	return CHECK_OK;
}
