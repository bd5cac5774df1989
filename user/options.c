// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Two tables, commands and options; everything else walks them. getopt_long() does the
 * splitting, silenced: it would name the program's first word and not the nearest option. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "distance.h"
#include "options.h"

#define ON(cmd) (1U << (cmd))
#define ALL	(ON(FT_NCOMMANDS) - 1)
#define COUNTS	(ON(FT_CMD_TOP) | ON(FT_CMD_AGENT) | ON(FT_CMD_RECORD) | ON(FT_CMD_CHECK))

static const struct {
	const char *name, *argument, *help;
} commands[] = {
	[FT_CMD_TOP] = {"top", NULL,
			"live view (also without a command); a plain table if not a tty"},
	[FT_CMD_AGENT] = {"agent", NULL, "count, audit, and write the Prometheus textfile"},
	[FT_CMD_SHOW] = {"show", "hops|edges|flows|pairs|listeners|ports|loss",
			 "one answer from the running agent"},
	[FT_CMD_DISCOVER] = {"discover", NULL,
			     "print the configuration for what runs on this host"},
	[FT_CMD_CHECK] = {"check", NULL, "configuration, kernel, privileges: one line each"},
	[FT_CMD_DEMO] = {"demo", NULL, "the live view over a small chain made for it"},
	[FT_CMD_RECORD] = {"record", "FILE", "write one snapshot per interval; see top --replay"},
	[FT_CMD_DETACH] = {"detach", NULL, "remove everything pinned"},
	[FT_CMD_VERSION] = {"version", NULL, "print the version"},
	[FT_CMD_HELP] = {"help", NULL, "print this; help COMMAND: COMMAND --help"},
};
_Static_assert(sizeof(commands) / sizeof(commands[0]) == FT_NCOMMANDS, "a command has no row");

enum option_id {
	OPT_CONFIG = 'c',
	OPT_VERBOSE = 'v',
	OPT_HELP = 'h',
	OPT_PINS = 256,
	OPT_FOR,
	OPT_TEXTFILE,
	OPT_INTERVAL,
	OPT_CGROUP,
	OPT_NETNS,
	OPT_SOURCE,
	OPT_MAX_FLOWS,
	OPT_KEEP,
	OPT_JSON,
	OPT_HOP,
	OPT_SORT,
	OPT_LIMIT,
	OPT_ONCE,
	OPT_REPLAY,
	OPT_LAB,
	OPT_VERSION,
};

static const struct {
	int id;
	const char *name, *argument;
	unsigned int on;
	const char *help;
} table[] = {
	{OPT_CONFIG, "config", "FILE", ALL,
	 "configuration (default: /etc/fantail/fantail.conf if it is there)"},
	{OPT_PINS, "pins", "DIR", ALL,
	 "where the counters are pinned (default: /sys/fs/bpf/fantail)"},
	{OPT_FOR, "for", "DURATION", COUNTS | ON(FT_CMD_DEMO),
	 "stop after that long: 500ms, 10s, 5m, 1h"},
	{OPT_TEXTFILE, "textfile", "FILE", ON(FT_CMD_AGENT) | ON(FT_CMD_CHECK),
	 "where to write the metrics; \"\": nowhere"},
	{OPT_INTERVAL, "interval", "DURATION", COUNTS | ON(FT_CMD_DEMO),
	 "how often to write, draw or record (default: 1s)"},
	{OPT_CGROUP, "cgroup", "PATH", COUNTS,
	 "count only sockets of this cgroup2 directory (source sockops)"},
	{OPT_NETNS, "netns", "all|own|PATH", COUNTS | ON(FT_CMD_DISCOVER),
	 "network namespaces to count (default: all)"},
	{OPT_SOURCE, "source", "tracepoint|sockops", COUNTS,
	 "how transitions are seen (default: tracepoint)"},
	{OPT_MAX_FLOWS, "max-flows", "N", COUNTS, "capacity of the flow table (default: 262144)"},
	{OPT_KEEP, "keep", NULL, ON(FT_CMD_AGENT),
	 "leave everything pinned and counting at the end"},
	{OPT_JSON, "json", NULL, ON(FT_CMD_SHOW), "JSON instead of a table"},
	{OPT_HOP, "hop", "NAME", ON(FT_CMD_SHOW), "only this hop"},
	{OPT_SORT, "sort", "KEY", ON(FT_CMD_SHOW),
	 "flows by age, idle, unread, hop, state or remote"},
	{OPT_LIMIT, "limit", "N", ON(FT_CMD_SHOW), "at most so many flows"},
	{OPT_ONCE, "once", NULL, ON(FT_CMD_TOP) | ON(FT_CMD_DEMO),
	 "print one plain table and exit"},
	{OPT_REPLAY, "replay", "FILE", ON(FT_CMD_TOP), "show a recording"},
	{OPT_LAB, "lab", NULL, ON(FT_CMD_DEMO),
	 "a whole service of real servers instead, in which one hop multiplies, then another"},
	{OPT_VERBOSE, "verbose", NULL, ALL, "say more; twice: what libbpf says, too"},
	{OPT_HELP, "help", NULL, ALL, "print help"},
	{OPT_VERSION, "version", NULL, ALL, "print the version"},
};
#define NOPTIONS (sizeof(table) / sizeof(table[0]))

const char *ft_command_name(enum ft_command c)
{
	return c < FT_NCOMMANDS ? commands[c].name : "?";
}

/* --- nearest word, for typing errors --- */

static int no_command(const char *word, char *why, size_t why_len)
{
	unsigned int best = 3;
	const char *near = NULL;

	for (unsigned int i = 0; i < FT_NCOMMANDS; i++)
		if (ft_distance(word, commands[i].name) < best) {
			best = ft_distance(word, commands[i].name);
			near = commands[i].name;
		}
	snprintf(why, why_len,
		 near ? "no command \"%s\"; did you mean \"%s\"?"
		      : "no command \"%s\"; see fantail help",
		 word, near);
	return -EINVAL;
}

static int no_option(const char *word, enum ft_command c, char *why, size_t why_len)
{
	unsigned int best = 3;
	const char *near = NULL;

	while (*word == '-')
		word++;
	for (unsigned int i = 0; i < NOPTIONS; i++) {
		unsigned int d = ft_distance(word, table[i].name);

		if ((table[i].on & ON(c)) && d < best) {
			best = d;
			near = table[i].name;
		}
	}
	if (near)
		snprintf(why, why_len, "%s has no option \"%s\"; did you mean \"--%s\"?",
			 commands[c].name, word, near);
	else
		snprintf(why, why_len, "%s has no option \"%s\"; see fantail %s --help",
			 commands[c].name, word, commands[c].name);
	return -EINVAL;
}

/* --- values --- */

static int number(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < min || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int source(const char *text, int *ret)
{
	if (strcmp(text, "tracepoint") && strcmp(text, "sockops"))
		return -EINVAL;
	*ret = !strcmp(text, "sockops") ? FT_SOURCE_SOCKOPS : FT_SOURCE_TRACEPOINT;
	return 0;
}

/* Longer ones do not fit where they are kept, and must not be cut. */
static int path(const char *text, const char **ret)
{
	if (strlen(text) >= FT_PATH_LEN)
		return -EINVAL;
	*ret = text;
	return 0;
}

static int set(struct ft_options *o, int id, const char *arg)
{
	switch (id) {
	case OPT_CONFIG:
		o->config = arg;
		return 0;
	case OPT_PINS:
		return path(arg, &o->pins);
	case OPT_FOR:
		return ft_duration_parse(arg, &o->for_ms) || !o->for_ms ? -EINVAL : 0;
	case OPT_TEXTFILE:
		return path(arg, &o->textfile);
	case OPT_INTERVAL:
		return ft_duration_parse(arg, &o->interval_ms) || o->interval_ms < 100 ? -EINVAL
										       : 0;
	case OPT_CGROUP:
		return path(arg, &o->cgroup);
	case OPT_NETNS:
		if (strcmp(arg, "all") && strcmp(arg, "own") && arg[0] != '/')
			return -EINVAL;
		return path(arg, &o->netns);
	case OPT_SOURCE:
		return source(arg, &o->source);
	case OPT_MAX_FLOWS:
		return number(arg, 1024, 16777216, &o->max_flows);
	case OPT_LIMIT:
		return number(arg, 1, UINT32_MAX, &o->limit);
	case OPT_HOP:
		o->hop = arg;
		return 0;
	case OPT_SORT:
		o->sort = arg;
		return 0;
	case OPT_REPLAY:
		o->replay = arg;
		return 0;
	case OPT_KEEP:
		o->keep = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_ONCE:
		o->once = true;
		return 0;
	case OPT_LAB:
		o->lab = true;
		return 0;
	case OPT_VERBOSE:
		o->verbosity++;
		return 0;
	case OPT_HELP:
		o->help = true;
		return 0;
	default:
		o->command = FT_CMD_VERSION;
		return 0;
	}
}

/* --- the walk --- */

static int find_row(int id)
{
	for (unsigned int i = 0; i < NOPTIONS; i++)
		if (table[i].id == id)
			return i;
	return -1;
}

/* What getopt_long() did not know: in "-xv" it stands before the word, and says the letter. */
static const char *refused(char **argv, char letter[2])
{
	if (!optopt || find_row(optopt) >= 0)
		return argv[optind - 1];
	letter[0] = (char)optopt;
	letter[1] = '\0';
	return letter;
}

static const char *values(int row)
{
	if (table[row].id == OPT_MAX_FLOWS)
		return " (1024 to 16777216)";
	return strcmp(table[row].argument, "DURATION") ? "" : " (100ms, 10s, 5m)";
}

/* A long one says only that: its own text would leave no room for the reason. */
static void bad_value(int row, const char *text, char *why, size_t why_len)
{
	if (strlen(text) >= FT_PATH_LEN)
		snprintf(why, why_len, "--%s: longer than %d characters", table[row].name,
			 FT_PATH_LEN - 1);
	else
		snprintf(why, why_len, "--%s: \"%s\" is not %s%s", table[row].name, text,
			 table[row].argument, values(row));
}

static int walk(struct ft_options *o, int argc, char **argv, char *why, size_t why_len)
{
	struct option longs[NOPTIONS + 1] = {0};
	char letter[2];
	int id;

	for (unsigned int i = 0; i < NOPTIONS; i++)
		longs[i] = (struct option){table[i].name, table[i].argument ? 1 : 0, NULL,
					   table[i].id};
	opterr = 0;
	optind = 0; /* forget where an earlier call stopped */
	while ((id = getopt_long(argc, argv, ":c:vh", longs, NULL)) != -1) {
		int row = find_row(id);

		if (id == ':') {
			snprintf(why, why_len, "%s needs a value", argv[optind - 1]);
			return -EINVAL;
		}
		if (row < 0 || !(table[row].on & ON(o->command)))
			return no_option(row < 0 ? refused(argv, letter) : table[row].name,
					 o->command, why, why_len);
		if (set(o, id, optarg)) {
			bad_value(row, optarg, why, why_len);
			return -EINVAL;
		}
	}
	return 0;
}

static int arguments(struct ft_options *o, int argc, char **argv, char *why, size_t why_len)
{
	const char *wanted = commands[o->command].argument;

	if (optind < argc && wanted)
		o->argument = argv[optind++];
	if (optind < argc) {
		snprintf(why, why_len, "%s: \"%s\" is one argument too many",
			 commands[o->command].name, argv[optind]);
		return -EINVAL;
	}
	if (wanted && !o->argument && !o->help) {
		snprintf(why, why_len, "%s needs an argument: %s", commands[o->command].name,
			 wanted);
		return -EINVAL;
	}
	return 0;
}

/* The word that comes next, if it is one, names the command. */
static int take_command(struct ft_options *o, int *argc, char ***argv, char *why, size_t why_len)
{
	const char *word = *argc > 1 ? (*argv)[1] : "-";
	enum ft_command c = 0;

	if (word[0] == '-')
		return 0;
	while (c < FT_NCOMMANDS && strcmp(word, commands[c].name) != 0)
		c++;
	if (c == FT_NCOMMANDS)
		return no_command(word, why, why_len);
	o->help = o->command == FT_CMD_HELP; /* `help COMMAND` is `COMMAND --help` */
	o->command = c;
	--*argc;
	++*argv;
	return 0;
}

int ft_options_parse(int argc, char **argv, struct ft_options *ret, char *why, size_t why_len)
{
	struct ft_options o = {.command = FT_CMD_TOP, .source = -1};
	int err = take_command(&o, &argc, &argv, why, why_len);

	if (!err && o.command == FT_CMD_HELP)
		err = take_command(&o, &argc, &argv, why, why_len);
	if (!err)
		err = walk(&o, argc, argv, why, why_len);
	if (!err)
		err = arguments(&o, argc, argv, why, why_len);
	if (err)
		return err;
	*ret = o;
	return 0;
}

static void help_options(unsigned int on, struct ft_buf *out)
{
	for (unsigned int i = 0; i < NOPTIONS; i++) {
		char left[64];

		if (!(table[i].on & on))
			continue;
		snprintf(left, sizeof(left), "%s--%s%s%s", table[i].id < 256 ? "" : "    ",
			 table[i].name, table[i].argument ? " " : "",
			 table[i].argument ? table[i].argument : "");
		if (table[i].id < 256)
			ft_buf_printf(out, "  -%c, %-26s %s\n", table[i].id, left, table[i].help);
		else
			ft_buf_printf(out, "  %-30s %s\n", left, table[i].help);
	}
}

void ft_options_help(enum ft_command command, struct ft_buf *out)
{
	if (command < FT_NCOMMANDS) {
		const char *argument = commands[command].argument;

		ft_buf_printf(out, "usage: fantail %s [OPTIONS]%s%s\n%s\n\n",
			      commands[command].name, argument ? " " : "", argument ? argument : "",
			      commands[command].help);
		help_options(ON(command), out);
		return;
	}
	ft_buf_printf(out, "fantail " FT_VERSION
			   ": how many backend flows does each client connection cost?\n\n"
			   "usage: fantail [COMMAND] [OPTIONS]\n\n");
	for (unsigned int i = 0; i < FT_NCOMMANDS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", commands[i].name,
			 commands[i].argument ? commands[i].argument : "");
		ft_buf_printf(out, "  %-28s %s\n", left, commands[i].help);
	}
	ft_buf_printf(
		out,
		"\nfantail COMMAND --help tells its options. exit codes: 0 ok, 64 usage, 69 "
		"kernel\n"
		"feature missing or no agent, 70 internal, 73 cannot write, 77 not permitted,\n"
		"78 configuration\n");
}
