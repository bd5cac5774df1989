/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The config file: what is read, every error's text and line, and that what is printed reads
 * back to the same hops. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* libconfig 1.5 forgets the string at hand when it meets a syntax error. Only that is excused:
 * settings that are not destroyed are still reported. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig_yylex\nleak:strbuf_append\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0"; /* a log means a leak */
}

static struct ft_config read_config(const char *text)
{
	struct ft_config c;
	struct ft_buf errors = {0};

	cr_assert_eq(ft_config_parse(text, "f", &c, &errors), 0, "%s", ft_buf_text(&errors));
	cr_assert_str_eq(ft_buf_text(&errors), "");
	ft_buf_close(&errors);
	return c;
}

static void fails_with(const char *text, const char *want)
{
	static struct ft_config c, before;
	struct ft_buf errors = {0};

	memset(&c, 0x5a, sizeof(c));
	before = c;
	cr_assert_eq(ft_config_parse(text, "f", &c, &errors), -EINVAL, "accepted: %s", text);
	cr_assert_str_eq(ft_buf_text(&errors), want, "got:\n%swant:\n%s", ft_buf_text(&errors),
			 want);
	cr_assert_eq(memcmp(&c, &before, sizeof(c)), 0, "the output was written");
	ft_buf_close(&errors);
}

#define HOP(body) "hops = ( { name = \"a\"; " body " } );"

Test(config, an_empty_file_is_all_defaults)
{
	static const char *const empty[] = {"", "\n", "# nothing\n", "// a\n/* b\n */",
					    "hops = ();"};

	for (size_t i = 0; i < COUNT(empty); i++) {
		struct ft_config c = read_config(empty[i]);

		cr_assert_eq(c.interval_ms, 1000);
		cr_assert_str_eq(c.textfile, FT_DEFAULT_TEXTFILE);
		cr_assert_eq(c.max_flows, 262144);
		cr_assert_eq(c.netns, FT_NETNS_ALL);
		cr_assert_eq(c.source, FT_SOURCE_TRACEPOINT);
		cr_assert_not(c.source_set);
		cr_assert_str_eq(c.cgroup, "");
		cr_assert_eq(c.nhops, 0);
	}
}

Test(config, every_key_is_read)
{
	struct ft_config c =
		read_config("interval = \"500ms\"; textfile = \"\"; max_flows = 1024;\n"
			    "netns = \"/run/netns/x\"; cgroup = \"/sys/fs/cgroup/a\";\n"
			    "source = \"sockops\"; pairs = false; quality = true;\n");

	cr_assert_eq(c.interval_ms, 500);
	cr_assert_str_eq(c.textfile, "");
	cr_assert_eq(c.max_flows, 1024);
	cr_assert_eq(c.netns, FT_NETNS_PATH);
	cr_assert_str_eq(c.netns_path, "/run/netns/x");
	cr_assert_str_eq(c.cgroup, "/sys/fs/cgroup/a");
	cr_assert_eq(c.source, FT_SOURCE_SOCKOPS);
	cr_assert(c.source_set);
	cr_assert_eq(read_config("netns = \"own\";").netns, FT_NETNS_OWN);
	cr_assert(read_config("source = \"tracepoint\";").source_set);
	cr_assert_eq(read_config("max_flows = 16777216;").max_flows, 16777216);
	cr_assert_eq(read_config("max_flows = 0x1000L;").max_flows, 4096);
	cr_assert_eq(read_config("").scan_ms, 5000);
	cr_assert_eq(read_config("scan = \"1m\";").scan_ms, 60000);
	cr_assert_eq(read_config("").one_shot_ms, 0);
	cr_assert_eq(read_config("one_shot = \"50ms\";").one_shot_ms, 50);
}

Test(config, places_have_a_keepalive_time)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules rules;
	struct ft_buf printed = {0};
	struct ft_config c = read_config(
		"hops = ({ name = \"a\"; accept = \"80\"; limit = 15; keepalive = \"10s\"; },"
		"        { name = \"b\"; accept = \"81\"; });");

	cr_assert_eq(ft_config_compile(&c, def, &rules), 0);
	cr_assert_eq(def[0].keepalive_ms, 10000);
	cr_assert_eq(def[1].keepalive_ms, FT_DEFAULT_KEEPALIVE_MS);
	ft_config_print(&c, &printed);
	cr_assert(strstr(ft_buf_text(&printed), "limit = 15; keepalive = \"10000ms\";"));
	c = read_config(ft_buf_text(&printed));
	cr_assert_eq(c.hop[0].keepalive_ms, 10000);
	cr_assert_eq(c.hop[1].keepalive_ms, 0);
	ft_buf_close(&printed);
}

/* The chain of the design: queue between NLB and NGINX, Node behind it. */
static const char chain[] =
	"hops = (\n"
	"  { name = \"nlb\";   accept  = \"80\"; },\n"
	"  { name = \"queue\"; connect = \"127.0.0.1:8080\"; from = \"nlb\";\n"
	"    process = \"connqueue\"; limit = 15; },\n"
	"  { name = \"nginx\"; connect = \":3000\"; from = \"queue\"; },\n"
	"  { name = \"mysql\"; connect = \"10.0.0.0/8:3306\"; from = \"nginx\"; },\n"
	"  { name = \"alive\"; accept  = \"8080\"; peer = \"!127.0.0.0/8\"; }\n"
	");\n";

Test(config, the_chain_is_read)
{
	struct ft_config c = read_config(chain);
	const struct ft_config_hop *queue = &c.hop[1], *alive = &c.hop[4];

	cr_assert_eq(c.nhops, 5);
	cr_assert_str_eq(queue->name, "queue");
	cr_assert_str_eq(queue->from, "nlb");
	cr_assert_str_eq(queue->process, "connqueue");
	cr_assert_eq(queue->side, FT_CONNECT);
	cr_assert_eq(queue->limit, 15);
	cr_assert_eq(queue->line, 3);
	cr_assert_eq(queue->nendpoints, 1);
	cr_assert_eq(queue->endpoint[0].port_lo, 8080);
	cr_assert_eq(queue->endpoint[0].prefix.len, 128);
	cr_assert_not(queue->discovered);
	cr_assert_eq(alive->side, FT_ACCEPT);
	cr_assert(alive->has_peer);
	cr_assert(alive->peer.negated);
	cr_assert_eq(alive->peer.len, 104);
}

Test(config, the_example_file_is_valid)
{
	static char text[16384];
	FILE *f = fopen(FT_TESTS_DIR "/../scripts/fantail.conf.example", "r");

	cr_assert_not_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	cr_assert_eq(read_config(text).nhops, 5);
}

Test(config, several_addresses_are_a_list_or_an_array)
{
	struct ft_config c = read_config(
		"hops = ( { name = \"a\"; accept = (\"80\", \"443\", \"8000-8099\"); },\n"
		"{ name = \"b\"; connect = [\"[::1]:1\", \"127.0.0.1:1\"]; } );");

	cr_assert_eq(c.hop[0].nendpoints, 3);
	cr_assert_eq(c.hop[0].endpoint[2].port_hi, 8099);
	cr_assert_eq(c.hop[1].nendpoints, 2);
}

Test(config, from_may_name_a_later_hop)
{
	struct ft_config c =
		read_config("hops = ( { name = \"a\"; connect = \"1\"; from = \"b\"; },"
			    "{ name = \"b\"; accept = \"2\"; } );");
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules rules;

	cr_assert_eq(ft_config_compile(&c, def, &rules), 0);
	cr_assert_eq(def[0].from, 1);
	cr_assert_eq(def[1].from, -1);
}

Test(config, durations)
{
	static const struct {
		const char *text;
		uint32_t ms;
	} good[] = {{"500ms", 500},
		    {"1s", 1000},
		    {"10s", 10000},
		    {"5m", 300000},
		    {"1h", 3600000},
		    {"0s", 0},
		    {"4294967295ms", 4294967295U},
		    {"0001s", 1000},
		    {"1193h", 4294800000U}};
	static const char *const bad[] = {"",
					  "s",
					  "1",
					  "-1s",
					  "+1s",
					  " 1s",
					  "1 s",
					  "1s ",
					  "1.5s",
					  "1m30s",
					  "1S",
					  "1d",
					  "ms",
					  "1194h",
					  "4294967296ms",
					  "99999999999999999999s"};
	uint32_t ms;

	for (size_t i = 0; i < COUNT(good); i++) {
		cr_assert_eq(ft_duration_parse(good[i].text, &ms), 0, "%s", good[i].text);
		cr_assert_eq(ms, good[i].ms, "%s is %u", good[i].text, ms);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		ms = 77;
		cr_assert_eq(ft_duration_parse(bad[i], &ms), -EINVAL, "%s", bad[i]);
		cr_assert_eq(ms, 77);
	}
}

/* As from libconfig 1.7 on, whichever we are linked with. */
Test(config, a_comma_after_the_last_does_no_harm)
{
	struct ft_config c =
		read_config("hops = (\n"
			    "  { name = \"a\"; accept = (\"80\", \"81\",); },\n"
			    "  { name = \"b\"; accept = \"82\"; }, # the last, for now\n"
			    "  /* { name = \"c\"; accept = \"83\"; } */ // )\n"
			    ");\n");

	cr_assert_eq(c.nhops, 2);
	cr_assert_eq(c.hop[0].nendpoints, 2);
	cr_assert_str_eq(c.hop[1].name, "b");
}

/* text -> the errors, word for word */
static const struct {
	const char *text, *errors;
} wrong[] = {
	/* syntax, and what libconfig would let pass */
	{"interval = ", "f:1: syntax error\n"},
	{"\n\na b;", "f:3: syntax error\n"},
	{"pairs = true;\npairs = false;", "f:2: duplicate setting name\n"},
	{"pairs = true;\n/* open", "f:2: the comment that starts here is never closed\n"},
	{"\ntextfile = \"x;\n", "f:2: the string that starts here is never closed\n"},
	{"textfile = \"\\", "f:1: the string that starts here is never closed\n"},
	{"hops = ( { name = \"a\"; accept = \"80\"; } # one\n\t{ name = \"b\"; } );",
	 "f:2: a comma is missing before this \"{\"\n"},
	{"\n@include \"/etc/passwd\"\n", "f:2: @include is not supported\n"},
	/* 2048 modulo 2^32, and modulo 2^64 */
	{"max_flows = 4294969344;",
	 "f:1: max_flows: 4294969344 is not between 1024 and 16777216\n"},
	{"max_flows = -4294965248;",
	 "f:1: max_flows: -4294965248 is not between 1024 and 16777216\n"},
	{"max_flows = 0x100000800;",
	 "f:1: max_flows: 4294969344 is not between 1024 and 16777216\n"},
	{"max_flows = 0x10000000000000800L;",
	 "f:1: max_flows: 999999999999999999 is not between 1024 and 16777216\n"},
	{"max_flows = 18446744073709553664LL;",
	 "f:1: max_flows: 999999999999999999 is not between 1024 and 16777216\n"},
	/* unknown keys */
	{"interva = \"1s\";", "f:1: unknown key \"interva\", did you mean \"interval\"?\n"},
	{"\nmaxflows = 1;", "f:2: unknown key \"maxflows\", did you mean \"max_flows\"?\n"},
	{"frobnicate = 1;", "f:1: unknown key \"frobnicate\"\n"},
	{"a = 1;", "f:1: unknown key \"a\"\n"},
	{HOP("acept = \"80\"; accept = \"80\";"),
	 "f:1: unknown key \"acept\", did you mean \"accept\"?\n"},
	{HOP("accept = \"80\"; interval = \"1s\";"), "f:1: unknown key \"interval\"\n"},
	/* types */
	{"interval = 1;", "f:1: interval: must be a string in quotes\n"},
	{"max_flows = \"1024\";", "f:1: max_flows: must be a whole number without quotes\n"},
	{"max_flows = 1024.0;", "f:1: max_flows: must be a whole number without quotes\n"},
	{"pairs = 1;", "f:1: pairs: must be true or false\n"},
	{"quality = \"yes\";", "f:1: quality: must be true or false\n"},
	{"hops = { };", "f:1: hops: must be a list: ( { ... }, { ... } )\n"},
	{"hops = [ ];", "f:1: hops: must be a list: ( { ... }, { ... } )\n"},
	{"hops = ( 1, \"a\" );", "f:1: hops: number 1 is not a group { ... }\n"
				 "f:1: hops: number 2 is not a group { ... }\n"},
	{HOP("accept = 80;"),
	 "f:1: accept: must be a string, or a list of strings: (\"...\", \"...\")\n"},
	{HOP("accept = ();"),
	 "f:1: accept: must be a string, or a list of strings: (\"...\", \"...\")\n"},
	{HOP("accept = (\"80\", 81);"),
	 "f:1: accept: must be a string, or a list of strings: (\"...\", \"...\")\n"},
	{HOP("accept = ((\"80\"));"),
	 "f:1: accept: must be a string, or a list of strings: (\"...\", \"...\")\n"},
	{HOP("accept = \"80\"; limit = \"15\";"),
	 "f:1: limit: must be a whole number without quotes\n"},
	/* ranges and forms */
	{"interval = \"99ms\";", "f:1: interval: 99ms is not between 100ms and 1h\n"},
	{"interval = \"2h\";", "f:1: interval: 2h is not between 100ms and 1h\n"},
	{"scan = \"50ms\";", "f:1: scan: 50ms is not between 100ms and 1h\n"},
	{"scan = 5;", "f:1: scan: must be a string in quotes\n"},
	{"one_shot = \"2h\";", "f:1: one_shot: 2h is not between 0ms and 1h\n"},
	{HOP("accept = \"80\"; keepalive = \"0s\";"),
	 "f:1: keepalive: 0s is not between 1ms and 1h\n"},
	{"interval = \"soon\";", "f:1: interval: \"soon\" is not a duration such as \"500ms\", "
				 "\"1s\", \"5m\"\n"},
	{"max_flows = 1023;", "f:1: max_flows: 1023 is not between 1024 and 16777216\n"},
	{"max_flows = 16777217;", "f:1: max_flows: 16777217 is not between 1024 and 16777216\n"},
	{"max_flows = -5;", "f:1: max_flows: -5 is not between 1024 and 16777216\n"},
	{"max_flows = 99999999999L;",
	 "f:1: max_flows: 99999999999 is not between 1024 and 16777216\n"},
	{"netns = \"none\";", "f:1: netns: \"none\" is not \"all\", \"own\" or an absolute path\n"},
	{"netns = \"\";", "f:1: netns: \"\" is not \"all\", \"own\" or an absolute path\n"},
	{"cgroup = \"system.slice\";", "f:1: cgroup: \"system.slice\" is not an absolute path\n"},
	{"source = \"kprobe\";", "f:1: source: \"kprobe\" is not \"tracepoint\" or \"sockops\"\n"},
	{HOP("accept = \"80\"; limit = -1;"), "f:1: limit: -1 is not between 0 and 1000000000\n"},
	{HOP("accept = \"70000\";"), "f:1: accept: \"70000\": port \"70000\" is not 1-65535\n"},
	{HOP("accept = (\"80\", \"x\", \"::1:9\");"),
	 "f:1: accept: \"x\": port \"x\" is not 1-65535\n"
	 "f:1: accept: \"::1:9\": IPv6 goes in brackets: [ADDRESS]:PORT\n"},
	{HOP("accept = \"80\"; peer = \"nlb\";"), "f:1: peer: \"nlb\" is not an address\n"},
	{HOP("accept = \"80\"; peer = \"!::/0\";"),
	 "f:1: peer: \"!::/0\" leaves nothing that could match\n"},
	{HOP("accept = \"80\"; process = \"\";"), "f:1: process: is empty\n"},
	{HOP("accept = \"80\"; process = \"sixteen-letters-\";"),
	 "f:1: process: \"sixteen-letters-\" is longer than 15 characters\n"},
	{HOP("accept = \"80\"; from = \"\";"), "f:1: from: is empty\n"},
	/* names */
	{"hops = ( { accept = \"80\"; } );", "f:1: the hop has no \"name\"\n"},
	{"hops = ( { name = \"\"; accept = \"80\"; } );", "f:1: name: is empty\n"},
	{"hops = ( { name = \"a b\"; accept = \"80\"; } );",
	 "f:1: name: \"a b\" may only have letters, digits and _ . : > @ -\n"},
	{"hops = ( { name = \"a\\n\\x1b[31m\"; accept = \"80\"; } );",
	 "f:1: name: \"a??[31m\" may only have letters, digits and _ . : > @ -\n"},
	{"hops = ( { name = \"0123456789012345678901234567890x\"; accept = \"80\"; } );",
	 "f:1: name: \"0123456789012345678901234567890x\" is longer than 31 characters\n"},
	{"hops = (\n{ name = \"a\"; accept = \"1\"; },\n{ name = \"a\"; accept = \"2\"; });",
	 "f:3: the name \"a\" is taken by the hop in line 2\n"},
	/* accept or connect */
	{HOP(""), "f:1: hop \"a\" has neither \"accept\" nor \"connect\", it needs one of them\n"},
	{HOP("accept = \"1\"; connect = \"2\";"),
	 "f:1: hop \"a\" has both \"accept\" and \"connect\", it needs one of them\n"},
	/* from */
	{"hops = (\n{ name = \"nlb\"; accept = \"1\"; },\n"
	 "{ name = \"q\"; connect = \"2\"; from = \"nbl\"; });",
	 "f:3: hop \"q\": from: there is no hop \"nbl\", did you mean \"nlb\"?\n"},
	{HOP("accept = \"1\"; from = \"elsewhere\";"),
	 "f:1: hop \"a\": from: there is no hop \"elsewhere\"\n"},
	{HOP("accept = \"1\"; from = \"a\";"), "f:1: from makes a loop: a -> a\n"},
	{"hops = (\n{ name = \"x\"; accept = \"9\"; from = \"c\"; },\n"
	 "{ name = \"a\"; accept = \"1\"; from = \"c\"; },\n"
	 "{ name = \"b\"; accept = \"2\"; from = \"a\"; },\n"
	 "{ name = \"c\"; accept = \"3\"; from = \"b\"; });",
	 "f:3: from makes a loop: a -> c -> b -> a\n"}, /* once; x is not on it */
	/* rules */
	{"hops = (\n{ name = \"a\"; connect = (\"1\", \"10.0.0.0/8:2\"); },\n"
	 "{ name = \"b\"; connect = (\"10.9.9.9/8:2\", \"3\"); });",
	 "f:3: hop \"b\": 10.0.0.0/8:2 has the same rule as hop \"a\" in line 2, which would get "
	 "all of its flows\n"},
	{"hops = (\n{ name = \"a\"; connect = \"10.0.0.0/8:2\"; },\n"
	 "{ name = \"b\"; connect = \"2\"; peer = \"10.0.0.0/8\"; });",
	 "f:3: hop \"b\": 2 has the same rule as hop \"a\" in line 2, which would get all of its "
	 "flows\n"},
	{HOP("connect = \"10.0.0.0/8:2\"; peer = \"!10.1.0.0/16\";"),
	 "f:1: hop \"a\": \"10.0.0.0/8:2\" already has an address, so peer \"!10.1.0.0/16\" would "
	 "be a second condition on it and a hop can have only one\n"},
	{HOP("connect = \"10.0.0.0/8:2\"; peer = \"11.0.0.0/8\";"),
	 "f:1: hop \"a\": \"10.0.0.0/8:2\" and peer \"11.0.0.0/8\" have no address in common\n"},
};

Test(config, every_error_says_where_and_what)
{
	for (size_t i = 0; i < COUNT(wrong); i++)
		fails_with(wrong[i].text, wrong[i].errors);
}

Test(config, all_errors_come_in_one_run_in_the_order_of_lines)
{
	fails_with("interva = \"1s\";\n"
		   "hops = (\n"
		   "  { name = \"a\"; accept = \"0\"; from = \"b\"; },\n"
		   "  { name = \"a\"; connect = \"1\";\n"
		   "    peer = \"x\"; },\n"
		   "  { limit = 99999999999; acccept = \"2\"; }\n"
		   ");\n"
		   "max_flows = 1;\n",
		   "f:1: unknown key \"interva\", did you mean \"interval\"?\n"
		   "f:3: accept: \"0\": port \"0\" is not 1-65535\n"
		   "f:3: hop \"a\": from: there is no hop \"b\"\n"
		   "f:4: the name \"a\" is taken by the hop in line 3\n"
		   "f:5: peer: \"x\" is not an address\n"
		   "f:6: limit: 99999999999 is not between 0 and 1000000000\n"
		   "f:6: unknown key \"acccept\", did you mean \"accept\"?\n"
		   "f:6: the hop has no \"name\"\n"
		   "f:6: hop \"\" has neither \"accept\" nor \"connect\", it needs one of them\n"
		   "f:8: max_flows: 1 is not between 1024 and 16777216\n");
}

Test(config, a_hop_with_an_error_still_has_its_name)
{
	fails_with("hops = (\n{ name = \"a\"; accept = \"0\"; },\n"
		   "{ name = \"b\"; connect = \"1\"; from = \"a\"; });",
		   "f:2: accept: \"0\": port \"0\" is not 1-65535\n");
}

Test(config, numbers_in_strings_and_comments_are_no_numbers)
{
	struct ft_config c = read_config("# 99999999999 @include \"x\"\n// 99999999999 /* \n"
					 "/* 99999999999\n@include \"/nowhere\" \" */\n"
					 "textfile = \"99999999999 # /* // \\\" @include\";\n"
					 "max_flows = 0x7ff;");

	cr_assert_str_eq(c.textfile, "99999999999 # /* // \" @include");
	cr_assert_eq(c.max_flows, 0x7ff);
}

Test(config, two_hops_on_one_port_may_differ_in_side_peer_process_or_address)
{
	read_config("hops = ( { name = \"a\"; accept = \"80\"; process = \"x\"; },\n"
		    "{ name = \"b\"; accept = \"80\"; process = \"y\"; },\n"
		    "{ name = \"c\"; accept = \"80\"; peer = \"10.0.0.0/8\"; },\n"
		    "{ name = \"d\"; accept = \"80\"; peer = \"!10.0.0.0/8\"; },\n"
		    "{ name = \"e\"; accept = \"10.0.0.0/8:80\"; },\n"
		    "{ name = \"f\"; connect = \"80\"; },\n"
		    "{ name = \"g\"; accept = \"80\"; } );");
}

static void add_hops(struct ft_buf *b, unsigned int nhops, unsigned int endpoints)
{
	ft_buf_printf(b, "hops = (");
	for (unsigned int i = 0; i < nhops; i++) {
		ft_buf_printf(b, "%s\n{ name = \"h%u\"; accept = (", i ? "," : "", i);
		for (unsigned int j = 0; j < endpoints; j++)
			ft_buf_printf(b, "%s\"%u\"", j ? "," : "", 1 + i * endpoints + j);
		ft_buf_printf(b, "); }");
	}
	ft_buf_printf(b, ");");
}

Test(config, the_tables_limits_are_errors_and_what_fits_them_is_none)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules rules;
	const unsigned int full = FT_MAX_RULES / FT_HOP_ENDPOINTS; /* hops */
	struct ft_buf b = {0};
	struct ft_config c;
	char want[128];

	add_hops(&b, FT_MAX_HOPS, FT_MAX_RULES / FT_MAX_HOPS);
	c = read_config(ft_buf_text(&b));
	cr_assert_eq(c.nhops, FT_MAX_HOPS);
	cr_assert_eq(ft_config_compile(&c, def, &rules), 0);
	cr_assert_eq(rules.count, FT_MAX_RULES);
	ft_buf_reset(&b);

	add_hops(&b, FT_MAX_HOPS + 3, 1);
	fails_with(ft_buf_text(&b), "f:1: hops: 67 hops, there may be at most 64\n");
	ft_buf_reset(&b);

	/* hops are in lines 2, 3, …; only the first one that has no room is named */
	add_hops(&b, full + 2, FT_HOP_ENDPOINTS);
	snprintf(want, sizeof(want),
		 "f:%u: from hop \"h%u\" on there are more than %u addresses in all\n", full + 2,
		 full, FT_MAX_RULES);
	fails_with(ft_buf_text(&b), want);
	ft_buf_reset(&b);

	add_hops(&b, 1, FT_HOP_ENDPOINTS + 1);
	fails_with(ft_buf_text(&b), "f:2: accept: 17 addresses, a hop has at most 16\n");
	ft_buf_close(&b);
}

Test(config, a_surplus_hop_is_still_checked)
{
	struct ft_buf b = {0};

	add_hops(&b, FT_MAX_HOPS, 1);
	b.len -= 2; /* ");" */
	ft_buf_printf(&b, ",\n{ nam = \"x\"; accept = \"0\"; });");
	fails_with(ft_buf_text(&b), "f:1: hops: 65 hops, there may be at most 64\n"
				    "f:66: unknown key \"nam\", did you mean \"name\"?\n"
				    "f:66: accept: \"0\": port \"0\" is not 1-65535\n"
				    "f:66: the hop has no \"name\"\n");
	ft_buf_close(&b);
}

Test(config, strings_fill_their_field_and_no_more)
{
	char text[400], path[257];
	struct ft_config c;

	memset(path, '/', 256);
	path[255] = '\0';
	snprintf(text, sizeof(text), "textfile = \"%s\";", path);
	c = read_config(text);
	cr_assert_eq(strlen(c.textfile), 255);

	memcpy(path + 254, "/x", 3);
	snprintf(text, sizeof(text), "netns = \"%s\";", path);
	fails_with(text,
		   "f:1: netns: \"////////////////////////////////////////////////////////////"
		   "////////...\" is longer than 255 characters\n");
}

Test(config, deep_and_huge_files_are_refused_in_one_line)
{
	static const char bytes[] = "({[a\"\\1=;,";
	size_t len = 3000000;
	char *text = malloc(len + 1);
	struct ft_buf errors = {0};
	struct ft_config c;

	for (size_t i = 0; bytes[i]; i++) {
		memset(text, bytes[i], len);
		text[len] = '\0';
		fails_with(text, "f:1: the file is larger than 1 MiB\n");
	}
	memcpy(text, "hops = ", 7);
	memset(text + 7, '(', 1000000);
	text[1000007] = '\0';
	fails_with(text, "f:1: memory exhausted\n");

	memset(text + 7, '(', 3000); /* well-formed, and deep */
	memset(text + 3007, ')', 3000);
	memcpy(text + 6007, ";", 2);
	fails_with(text, "f:1: hops: number 1 is not a group { ... }\n");

	for (size_t i = 0; bytes[i]; i++) { /* whatever they are, they are no config */
		memset(text, bytes[i], 100000);
		text[100000] = '\0';
		if (bytes[i] != ';')
			cr_assert_eq(ft_config_parse(text, "f", &c, &errors), -EINVAL);
	}
	ft_buf_close(&errors);
	free(text);
}

Test(config, no_byte_of_a_config_can_be_changed_into_a_crash)
{
	static const char bytes[] = "\x01\xff\"\\({[;=,1x@#\n";
	struct ft_buf errors = {0};
	static struct ft_config c;
	char text[sizeof(chain)];

	for (size_t at = 0; at < sizeof(chain) - 1; at++) {
		for (size_t i = 0; bytes[i]; i++) {
			memcpy(text, chain, sizeof(chain));
			text[at] = bytes[i];
			ft_config_parse(text, "f", &c, &errors);
			ft_buf_reset(&errors);
		}
		memcpy(text, chain, sizeof(chain));
		text[at] = '\0'; /* cut off */
		ft_config_parse(text, "f", &c, &errors);
		ft_buf_reset(&errors);
	}
	ft_buf_close(&errors);
}

/* --- compile --- */

static struct ft_rules compile(const char *text, struct ft_hop_def def[FT_MAX_HOPS])
{
	static struct ft_rules rules;
	struct ft_config c = read_config(text);

	memset(&rules, 0x5a, sizeof(rules));
	cr_assert_eq(ft_config_compile(&c, def, &rules), 0);
	return rules;
}

static void words_are(const __u64 got[2], const char *addr)
{
	uint8_t want[16];

	cr_assert_eq(ft_addr_parse(addr, want), 0);
	cr_assert_arr_eq(got, want, 16, "not %s", addr);
}

/* As bpf/match.bpf.h does it. */
static __u64 tag_of(const char *process)
{
	char comm[FT_COMM_LEN] = {0};
	__u64 w[2];

	memcpy(comm, process, strlen(process));
	memcpy(w, comm, sizeof(w));
	return FT_COMM_TAG(w[0], w[1]);
}

Test(config, the_chain_compiles)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	struct ft_rules r = compile(chain, def);

	cr_assert_eq(r.count, 5);
	cr_assert_str_eq(def[0].port, "80");
	cr_assert_str_eq(def[1].port, "127.0.0.1:8080");
	cr_assert_str_eq(def[2].port, "3000");
	cr_assert_str_eq(def[3].port, "10.0.0.0/8:3306");
	cr_assert_str_eq(def[1].process, "connqueue");
	cr_assert_eq(def[1].limit, 15);
	cr_assert_eq(def[0].from, -1);
	cr_assert_eq(def[1].from, 0);
	cr_assert_eq(def[2].from, 1);
	cr_assert_eq(def[3].from, 2);
	cr_assert_eq(def[4].from, -1);
	for (unsigned int i = 0; i < 5; i++) {
		cr_assert_eq(r.rule[i].hop, i);
		cr_assert_eq(r.rule[i].side, def[i].side);
		cr_assert_eq(r.rule[i].pad, 0);
		cr_assert_eq(def[i].discovered, 0);
	}
	cr_assert_eq(r.rule[1].flags, FT_RULE_COMM);
	cr_assert_eq(r.rule[1].comm_tag, tag_of("connqueue"));
	words_are(r.rule[1].peer, "127.0.0.1");
	words_are(r.rule[1].peer_mask, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	words_are(r.rule[1].local_mask, "::");
	words_are(r.rule[3].peer, "10.0.0.0");
	words_are(r.rule[3].peer_mask, "ffff:ffff:ffff:ffff:ffff:ffff:ff00::");
	words_are(r.rule[2].peer_mask, "::");
	cr_assert_eq(r.rule[4].flags, FT_RULE_NOT_PEER);
	words_are(r.rule[4].peer, "127.0.0.0");
	words_are(r.rule[4].local_mask, "::");
}

Test(config, an_accept_address_is_local_and_its_peer_is_remote)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	struct ft_rules r = compile(
		HOP("accept = \"[fd00::]/8:80-90\"; peer = \"10.0.0.0/8\"; process = \"p\";"), def);

	words_are(r.rule[0].local, "fd00::");
	words_are(r.rule[0].local_mask, "ff00::");
	words_are(r.rule[0].peer, "10.0.0.0");
	cr_assert_eq(r.rule[0].flags, FT_RULE_COMM);
	cr_assert_eq(r.rule[0].port_lo, 80);
	cr_assert_eq(r.rule[0].port_hi, 90);
}

Test(config, connect_takes_the_narrower_of_address_and_peer)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	struct ft_rules r;

	r = compile(HOP("connect = \"10.0.0.0/8:1\"; peer = \"10.1.0.0/16\";"), def);
	words_are(r.rule[0].peer, "10.1.0.0");
	words_are(r.rule[0].peer_mask, "ffff:ffff:ffff:ffff:ffff:ffff:ffff::");
	r = compile(HOP("connect = \"10.1.0.0/16:1\"; peer = \"10.0.0.0/8\";"), def);
	words_are(r.rule[0].peer, "10.1.0.0");
	words_are(r.rule[0].peer_mask, "ffff:ffff:ffff:ffff:ffff:ffff:ffff::");
	r = compile(HOP("connect = \"1\"; peer = \"!10.0.0.0/8\";"), def);
	words_are(r.rule[0].peer, "10.0.0.0");
	cr_assert_eq(r.rule[0].flags, FT_RULE_NOT_PEER);
	r = compile(HOP("connect = \"1\"; peer = \"::/0\";"), def);
	words_are(r.rule[0].peer_mask, "::");
	cr_assert_eq(r.rule[0].flags, 0);
}

Test(config, every_address_of_a_hop_is_a_rule_in_order)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	struct ft_rules r = compile("hops = ( { name = \"a\"; accept = (\"3\", \"1\"); },"
				    "{ name = \"b\"; accept = \"2\"; } );",
				    def);

	cr_assert_eq(r.count, 3);
	cr_assert_eq(r.rule[0].port_lo, 3);
	cr_assert_eq(r.rule[1].port_lo, 1);
	cr_assert_eq(r.rule[1].hop, 0);
	cr_assert_eq(r.rule[2].port_lo, 2);
	cr_assert_eq(r.rule[2].hop, 1);
	cr_assert_str_eq(def[0].port, "3,1");
}

Test(config, a_long_list_of_addresses_is_cut_between_two)
{
	static struct ft_hop_def def[FT_MAX_HOPS];

	/* 8 * 21 + 7 commas = 175, and a ninth would be the 197th byte of 191 */
	compile(HOP("connect = "
		    "(\"101.101.101.101:10101\",\"101.101.101.102:10101\",\"101.101.101.103:"
		    "10101\",\"101.101.101.104:10101\",\"101.101.101.105:10101\",\"101.101.101.106:"
		    "10101\",\"101.101.101.107:10101\",\"101.101.101.108:10101\",\"101.101.101.109:"
		    "10101\");"),
		def);
	cr_assert_str_eq(def[0].port, "101.101.101.101:10101,101.101.101.102:10101,101.101.101.103:"
				      "10101,101.101.101.104:10101,101.101.101.105:10101,101.101."
				      "101.106:10101,101.101.101.107:10101,101.101.101.108:10101");
}

static struct ft_config_hop discovered(const char *name, uint8_t side, const char *process,
				       const char *endpoint)
{
	struct ft_config_hop h = {.side = side, .discovered = true, .nendpoints = 1};

	strcpy(h.name, name);
	strcpy(h.process, process);
	cr_assert_eq(ft_endpoint_parse(endpoint, &h.endpoint[0], NULL, 0), 0);
	return h;
}

Test(config, discovered_rules_with_only_a_port_come_last)
{
	static struct ft_config c;
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules r;

	c = read_config("hops = ( { name = \"a\"; connect = \"1\"; } );");
	c.hop[c.nhops++] = discovered("ownerless", FT_CONNECT, "", "10.0.0.0/8:443");
	c.hop[c.nhops++] = discovered("public", FT_CONNECT, "curl", "443");
	c.hop[c.nhops++] = discovered("private", FT_CONNECT, "curl", "10.0.0.0/8:443");
	c.hop[c.nhops++] = discovered("any", FT_ACCEPT, "nginx", "80");
	c.hop[c.nhops++] = discovered("one", FT_ACCEPT, "node", "127.0.0.1:80");
	strcpy(c.hop[2].from, "any");
	cr_assert_eq(ft_config_compile(&c, def, &r), 0);
	cr_assert_eq(r.count, 6);
	/* configured, with an address, only a port, owner unknown */
	cr_assert_eq(r.rule[0].hop, 0);
	cr_assert_eq(r.rule[1].hop, 3);
	cr_assert_eq(r.rule[2].hop, 5);
	cr_assert_eq(r.rule[3].hop, 2);
	cr_assert_eq(r.rule[4].hop, 4);
	cr_assert_eq(r.rule[5].hop, 1);
	cr_assert_eq(def[2].from, 4);
	cr_assert_eq(def[2].discovered, 1);
}

Test(config, a_discovered_listeners_process_is_shown_and_is_no_condition)
{
	static struct ft_config c;
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules r;

	ft_config_default(&c);
	c.hop[c.nhops++] = discovered("l", FT_ACCEPT, "nginx", "80");
	c.hop[c.nhops++] = discovered("c", FT_CONNECT, "nginx", "81");
	cr_assert_eq(ft_config_compile(&c, def, &r), 0);
	cr_assert_str_eq(def[0].process, "nginx");
	cr_assert_eq(r.rule[0].flags, 0);
	cr_assert_eq(r.rule[0].comm_tag, 0);
	cr_assert_eq(r.rule[1].flags, FT_RULE_COMM);
	cr_assert_eq(r.rule[1].comm_tag, tag_of("nginx"));
}

Test(config, too_many_rules_leave_the_outputs_alone)
{
	static struct ft_config c;
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules r = {.count = 77};

	ft_config_default(&c);
	c.nhops = FT_MAX_RULES / FT_HOP_ENDPOINTS + 1;
	for (unsigned int i = 0; i < c.nhops; i++) {
		c.hop[i] = discovered("x", FT_ACCEPT, "", "80");
		c.hop[i].nendpoints = FT_HOP_ENDPOINTS;
	}
	cr_assert_eq(ft_config_compile(&c, def, &r), -E2BIG);
	cr_assert_eq(r.count, 77);
	cr_assert_str_eq(def[0].name, "");
}

/* --- print --- */

static void same_hops(const struct ft_config *a, const struct ft_config *b)
{
	cr_assert_eq(a->nhops, b->nhops);
	for (unsigned int i = 0; i < a->nhops; i++) {
		struct ft_config_hop x = a->hop[i], y = b->hop[i];

		x.line = y.line = 0;
		cr_assert_str_eq(x.name, y.name);
		cr_assert_str_eq(x.from, y.from);
		cr_assert_str_eq(x.process, y.process);
		cr_assert_eq(x.nendpoints, y.nendpoints);
		cr_assert_eq(memcmp(x.endpoint, y.endpoint, x.nendpoints * sizeof(x.endpoint[0])),
			     0);
		cr_assert_eq(memcmp(&x.peer, &y.peer, sizeof(x.peer)), 0);
		cr_assert_eq(x.has_peer, y.has_peer);
		cr_assert_eq(x.side, y.side);
		cr_assert_eq(x.limit, y.limit);
	}
}

static void reads_back(const char *text)
{
	struct ft_config c = read_config(text), again;
	struct ft_buf out = {0};

	ft_config_print(&c, &out);
	again = read_config(ft_buf_text(&out));
	same_hops(&c, &again);
	ft_buf_close(&out);
}

Test(config, what_is_printed_reads_back_to_the_same_hops)
{
	reads_back("");
	reads_back(chain);
	reads_back("hops = ( { name = \"n>:.@-_1\"; limit = 1000000000;\n"
		   "  accept = (\"[::1]:80\", \"8000-8099\", \"[fd00::]/8:1-65535\", "
		   "\"0.0.0.0:7\"); },\n"
		   "{ name = \"b\"; connect = \"[2001:db8::1]:443\"; from = \"n>:.@-_1\";\n"
		   "  process = \"a \\\"b\\\\\\n\\t\\x01\\x7f\\xc3\\xa4#\"; },\n"
		   "{ name = \"c\"; connect = \"9\"; peer = \"!fd00::/8\"; },\n"
		   "{ name = \"d\"; connect = \"9\"; peer = \"10.0.0.0/8\"; } );");
}

Test(config, hops_print_one_per_line)
{
	struct ft_config c = read_config(chain);
	struct ft_buf out = {0};

	c.hop[c.nhops] = discovered("l", FT_ACCEPT, "x\n1#", "[::1]:80");
	c.hop[c.nhops].order = c.nhops;
	c.nhops++;
	ft_config_print(&c, &out);
	cr_assert_str_eq(
		ft_buf_text(&out),
		"# Hops of fantail. The first hop that matches a connection counts it.\n"
		"hops = (\n"
		"  { name = \"nlb\"; accept = \"80\"; },\n"
		"  { name = \"queue\"; connect = \"127.0.0.1:8080\"; from = \"nlb\"; process = "
		"\"connqueue\"; limit = 15; },\n"
		"  { name = \"nginx\"; connect = \"3000\"; from = \"queue\"; },\n"
		"  { name = \"mysql\"; connect = \"10.0.0.0/8:3306\"; from = \"nginx\"; },\n"
		"  { name = \"alive\"; accept = \"8080\"; peer = \"!127.0.0.0/8\"; },\n"
		"  { name = \"l\"; accept = \"[::1]:80\"; } # x?1#\n"
		");\n");
	ft_buf_close(&out);
}

Test(config, discovered_hops_print_in_the_order_of_their_rules)
{
	static struct ft_config c, again;
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules r;
	struct ft_buf out = {0};

	ft_config_default(&c);
	c.hop[c.nhops++] = discovered("public", FT_CONNECT, "curl", "443");
	c.hop[c.nhops++] = discovered("private", FT_CONNECT, "curl", "10.0.0.0/8:443");
	ft_config_print(&c, &out);
	again = read_config(ft_buf_text(&out));
	cr_assert_str_eq(again.hop[0].name, "private");
	cr_assert_str_eq(again.hop[1].name, "public");
	cr_assert_eq(ft_config_compile(&again, def, &r), 0);
	words_are(r.rule[0].peer, "10.0.0.0");
	ft_buf_close(&out);
}
