// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "options.h"

static struct ft_options o;
static char why[160];

static int parse(const char *a, const char *b, const char *c, const char *d)
{
	char *argv[] = {"fantail", (char *)a, (char *)b, (char *)c, (char *)d, NULL};
	int argc = 1;

	while (argc < 5 && argv[argc])
		argc++;
	argv[argc] = NULL;
	why[0] = 0;
	return ft_options_parse(argc, argv, &o, why, sizeof(why));
}

Test(options, no_command_is_top)
{
	cr_assert_eq(parse(NULL, NULL, NULL, NULL), 0);
	cr_assert_eq(o.command, FT_CMD_TOP);
	cr_assert_eq(o.source, -1);
	cr_assert_eq(parse("--once", NULL, NULL, NULL), 0);
	cr_assert_eq(o.command, FT_CMD_TOP);
	cr_assert(o.once);
}

Test(options, values_are_parsed)
{
	cr_assert_eq(parse("agent", "--interval", "500ms", "--for=2m"), 0);
	cr_assert_eq(o.interval_ms, 500);
	cr_assert_eq(o.for_ms, 120000);
	cr_assert_eq(parse("agent", "--source", "sockops", "--max-flows=2048"), 0);
	cr_assert_eq(o.source, FT_SOURCE_SOCKOPS);
	cr_assert_eq(o.max_flows, 2048);
	cr_assert_eq(parse("show", "flows", "--limit=7", "--json"), 0);
	cr_assert_str_eq(o.argument, "flows");
	cr_assert_eq(o.limit, 7);
	cr_assert(o.json);
	cr_assert_eq(parse("agent", "-c", "f.conf", "-vv"), 0);
	cr_assert_str_eq(o.config, "f.conf");
	cr_assert_eq(o.verbosity, 2);
}

Test(options, a_path_is_as_long_as_a_containers_cgroup)
{
	static const char pod[] =
		"/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/"
		"kubepods-burstable-pod0e3a1d0c_6f54_4c3b_9d7e_2b8f1a9c5d21.slice/cri-containerd-"
		"3f1c8a9be0d24c7f95a1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c2d3e4f5a6b.scope";
	char longest[FT_PATH_LEN + 1];

	cr_assert_eq(parse("agent", "--cgroup", pod, NULL), 0, "%s", why);
	cr_assert_str_eq(o.cgroup, pod);
	memset(longest, '/', sizeof(longest));
	longest[FT_PATH_LEN] = '\0';
	cr_assert_eq(parse("agent", "--cgroup", longest, NULL), -EINVAL);
	cr_assert_str_eq(why, "--cgroup: longer than 255 characters");
	longest[FT_PATH_LEN - 1] = '\0';
	cr_assert_eq(parse("agent", "--cgroup", longest, NULL), 0);
}

Test(options, the_lab_belongs_to_the_demo)
{
	cr_assert_eq(parse("demo", NULL, NULL, NULL), 0);
	cr_assert_not(o.lab);
	cr_assert_eq(parse("demo", "--lab", "--for", "10s"), 0);
	cr_assert(o.lab);
	cr_assert_eq(o.for_ms, 10000);
	cr_assert_eq(parse("top", "--lab", NULL, NULL), -EINVAL);
}

Test(options, a_mistyped_command_names_the_nearest)
{
	cr_assert_eq(parse("agnet", NULL, NULL, NULL), -EINVAL);
	cr_assert_str_eq(why, "no command \"agnet\"; did you mean \"agent\"?");
	cr_assert_eq(parse("frobnicate", NULL, NULL, NULL), -EINVAL);
	cr_assert_str_eq(why, "no command \"frobnicate\"; see fantail help");
}

Test(options, a_mistyped_option_names_the_nearest)
{
	cr_assert_eq(parse("agent", "--textfiel", "x", NULL), -EINVAL);
	cr_assert(strstr(why, "did you mean \"--textfile\"?"), "%s", why);
}

Test(options, an_option_of_another_command_is_refused)
{
	cr_assert_eq(parse("agent", "--json", NULL, NULL), -EINVAL);
	cr_assert(strstr(why, "agent has no option \"json\""), "%s", why);
	cr_assert_eq(parse("show", "hops", "--keep", NULL), -EINVAL);
}

Test(options, bad_values_are_refused_by_name)
{
	static const char *const bad[][2] = {
		{"--interval", "10"},  {"--interval", "50ms"},	 {"--for", "soon"},
		{"--source", "ebpf"},  {"--netns", "mine"},	 {"--max-flows", "12"},
		{"--max-flows", "-2"}, {"--max-flows", "2048x"}, {"--interval", ""},
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(parse("agent", bad[i][0], bad[i][1], NULL), -EINVAL, "%s %s",
			     bad[i][0], bad[i][1]);
		cr_expect(strstr(why, bad[i][0]), "%s", why);
	}
	cr_assert_eq(parse("agent", "--max-flows", "10", NULL), -EINVAL);
	cr_assert_str_eq(why, "--max-flows: \"10\" is not N (1024 to 16777216)");
	cr_assert_eq(parse("agent", "--for", NULL, NULL), -EINVAL);
	cr_assert_str_eq(why, "--for needs a value");
}

Test(options, arguments_are_counted)
{
	cr_assert_eq(parse("show", NULL, NULL, NULL), -EINVAL);
	cr_assert_eq(parse("show", "hops", "edges", NULL), -EINVAL);
	cr_assert_eq(parse("agent", "now", NULL, NULL), -EINVAL);
	cr_assert_eq(parse("show", "--help", NULL, NULL), 0);
	cr_assert(o.help);
}

Test(options, help_of_a_command_is_its_help_option)
{
	cr_assert_eq(parse("help", "show", NULL, NULL), 0);
	cr_assert_eq(o.command, FT_CMD_SHOW);
	cr_assert(o.help);
	cr_assert_eq(parse("help", NULL, NULL, NULL), 0);
	cr_assert_eq(o.command, FT_CMD_HELP);
	cr_assert_eq(parse("help", "shwo", NULL, NULL), -EINVAL);
	cr_assert_eq(parse("agent", "--for", "1s", NULL), 0);
	cr_assert(!o.help);
}

Test(options, help_names_every_command_and_its_options)
{
	struct ft_buf text = {0};

	ft_options_help(FT_NCOMMANDS, &text);
	for (int i = 0; i < FT_NCOMMANDS; i++)
		cr_expect(strstr(ft_buf_text(&text), ft_command_name(i)));
	ft_buf_reset(&text);
	ft_options_help(FT_CMD_SHOW, &text);
	cr_expect(strstr(ft_buf_text(&text), "--json"));
	cr_expect(!strstr(ft_buf_text(&text), "--keep"));
	ft_buf_close(&text);
}
