// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How much each program asks of the verifier. A kernel refuses above a million instructions looked
 * at, and each kernel counts in its own way: what is near that on one is refused by another. So
 * each program has a budget far below, about twice what it needed on the hungriest of 5.10 to
 * current. Who needs more changes the row, and says why in the commit.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "kit.h"
#include "pair.skel.h"
#include "sockops.skel.h"
#include "sockops_nobtf.skel.h"
#include "tracepoint.skel.h"

TestSuite(budget, .fini = kit_end, .timeout = 600);

static const struct {
	const char *program;
	unsigned int budget;
} budgets[] = {
	/* clang-format off */
	{"ft_state", 100000},
	{"ft_state_again", 100000},
	{"ft_state_third", 100000},
	{"ft_walk", 40000},
	{"ft_sweep", 500},
	{"ft_dump", 8000},
	{"ft_holders", 500},
	{"ft_sockops", 40000},
	{"ft_pair_read", 8000},
	{"ft_pair_send", 60000},
	{"ft_pair_sendmsg", 60000},
	{"ft_pair_sendpage", 60000},
	{"ft_pair_msg_in", 500},
	{"ft_pair_msg_out", 60000},
	{"ft_pair_page_in", 500},
	{"ft_pair_page_out", 60000},
	{"ft_pair_state", 3000},
	{"ft_pair_again", 3000},
	/* clang-format on */
};
#define NBUDGETS (sizeof(budgets) / sizeof(budgets[0]))

static unsigned int seen[NBUDGETS]; /* the most that was looked at; 0: not loaded here */

/* The objects, some in two ways: a constant turns code off. */
enum object { TRACEPOINT, SOCKOPS, SOCKOPS_NOBTF, PAIR, NOBJECTS };
static const unsigned int ways[] = {3, 2, 1, 1};

struct opened {
	struct ft_tracepoint *tracepoint;
	struct ft_sockops *sockops;
	struct ft_sockops_nobtf *nobtf;
	struct ft_pair *pair;
	struct bpf_object *obj;
};

static struct opened open_object(enum object which, unsigned int way)
{
	struct opened o = {0};

	if (which == TRACEPOINT && (o.tracepoint = ft_tracepoint__open())) {
		o.tracepoint->rodata->no_probe_read = way == 1;
		o.tracepoint->rodata->preemptible = way == 2;
		o.obj = o.tracepoint->obj;
	} else if (which == SOCKOPS && (o.sockops = ft_sockops__open())) {
		o.sockops->rodata->have_owner = way;
		o.sockops->rodata->keep_entries = 0;
		o.obj = o.sockops->obj;
	} else if (which == SOCKOPS_NOBTF && (o.nobtf = ft_sockops_nobtf__open())) {
		o.nobtf->rodata->keep_entries = 0;
		o.obj = o.nobtf->obj;
	} else if (which == PAIR && (o.pair = ft_pair__open())) {
		o.obj = o.pair->obj;
	}
	cr_assert(o.obj, "object %d cannot be opened", which);
	return o;
}

static void close_object(struct opened *o)
{
	ft_tracepoint__destroy(o->tracepoint);
	ft_sockops__destroy(o->sockops);
	ft_sockops_nobtf__destroy(o->nobtf);
	ft_pair__destroy(o->pair);
}

/* In the verifier's words, which every kernel says at this log level, or in the info's (5.16). */
static unsigned int looked_at(const struct bpf_program *prog, const char *log)
{
	const char *words = strstr(log, "processed ");
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	cr_assert_eq(bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len), 0);
	if (info.verified_insns)
		return info.verified_insns;
	return words ? strtoul(words + strlen("processed "), NULL, 10) : info.xlated_prog_len / 8;
}

/* Old kernels print a WARNING for some kprobes; fantail does not load them there either. */
static bool may_load(const struct bpf_program *prog)
{
	struct utsname name;

	return bpf_program__type(prog) != BPF_PROG_TYPE_KPROBE ||
	       (!uname(&name) && strtoul(name.release, NULL, 10) >= 6);
}

/* Load program number n of an object, alone; false: this object has fewer. */
static bool load_alone(enum object which, unsigned int way, unsigned int n)
{
	static char log[1 << 16];
	struct opened o = open_object(which, way);
	struct bpf_program *prog = NULL, *wanted = NULL;
	unsigned int at = 0, row = 0, used;

	while ((prog = bpf_object__next_program(o.obj, prog))) {
		if (at == n)
			wanted = prog;
		bpf_program__set_autoload(prog, at++ == n);
	}
	while (wanted && row < NBUDGETS && strcmp(budgets[row].program, bpf_program__name(wanted)))
		row++;
	if (wanted) {
		cr_assert_lt(row, NBUDGETS, "%s has no budget", bpf_program__name(wanted));
		log[0] = 0;
		bpf_program__set_log_level(wanted, 4); /* BPF_LOG_STATS */
		bpf_program__set_log_buf(wanted, log, sizeof(log));
		if (may_load(wanted) && !bpf_object__load(o.obj)) {
			used = looked_at(wanted, log);
			seen[row] = used > seen[row] ? used : seen[row];
		}
	}
	close_object(&o);
	return wanted;
}

static int print_nothing(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

/* What pairs flows depends on the kernel; all else has to load everywhere. */
static bool is_optional(const char *program)
{
	return !strncmp(program, "ft_pair_", 8);
}

Test(budget, no_program_asks_more_of_the_verifier_than_it_may)
{
	libbpf_set_print(print_nothing);
	for (int which = 0; which < NOBJECTS; which++)
		for (unsigned int way = 0; way < ways[which]; way++)
			for (unsigned int n = 0; load_alone(which, way, n); n++)
				;
	for (unsigned int i = 0; i < NBUDGETS; i++) {
		cr_log_info("budget: %-16s %6u instructions of %u%s", budgets[i].program, seen[i],
			    budgets[i].budget, seen[i] ? "" : " (not on this kernel)");
		cr_expect(seen[i] || is_optional(budgets[i].program), "%s does not load",
			  budgets[i].program);
		cr_expect_leq(seen[i], budgets[i].budget, "%s: %u instructions, its budget is %u",
			      budgets[i].program, seen[i], budgets[i].budget);
	}
}
