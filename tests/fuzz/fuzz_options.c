// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The command line: one word per line of input. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "options.h"

#define MAX_WORDS 24

static int split(char *text, char *argv[MAX_WORDS + 2])
{
	int argc = 1;

	argv[0] = "fantail";
	while (text && argc < MAX_WORDS + 1) {
		char *end = strchr(text, '\n');

		if (end)
			*end++ = '\0';
		argv[argc++] = text;
		text = end;
	}
	argv[argc] = NULL;
	return argc;
}

static void check_given(const char *given, const char *text, size_t len)
{
	FUZZ_CHECK(!given || (given >= text && given <= text + len), "not a part of argv");
}

static void check_accepted(const struct ft_options *o, const char *text, size_t len)
{
	const char *given[] = {o->argument, o->config, o->textfile, o->cgroup, o->netns,
			       o->hop,	    o->sort,   o->replay,   o->pins};
	struct ft_buf help = {0};

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		check_given(given[i], text, len);
	FUZZ_CHECK(o->command < FT_NCOMMANDS, "command %u", o->command);
	FUZZ_CHECK(o->source >= -1 && o->source < FT_NSOURCES, "source %d", o->source);
	FUZZ_CHECK(!o->max_flows || (o->max_flows >= 1024 && o->max_flows <= 16777216), "%u",
		   o->max_flows);
	FUZZ_CHECK(!o->interval_ms || o->interval_ms >= 100, "%u", o->interval_ms);
	ft_options_help(o->command, &help);
	fuzz_check_plain("help", ft_buf_text(&help), help.len);
	ft_buf_close(&help);
}

/* "--ke" is --keep. */
static bool abbreviates(const char *arg, const char *word)
{
	size_t len = strncmp(arg, "--", 2) ? 0 : strcspn(arg + 2, "=");

	return len && !strncmp(arg + 2, word, len);
}

/* What is named in a message was written by the user. */
static void check_refused(const char *why, char *const argv[])
{
	const char *word = strstr(why, "has no option \""), *end;
	size_t len;

	FUZZ_CHECK(why[0], "no message");
	end = word ? strchr(word += 15, '"') : NULL;
	len = end ? (size_t)(end - word) : 0;
	for (int i = 1; end && argv[i]; i++)
		if (memmem(argv[i], strlen(argv[i]), word, len) || abbreviates(argv[i], word))
			return;
	FUZZ_CHECK(!end || !len, "nobody wrote it: %s", why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *argv[MAX_WORDS + 2], why[160] = "";
	size_t len = strlen(text);
	int argc = split(text, argv);
	struct ft_options o, again;

	memset(&o, 0xa5, sizeof(o));
	again = o;
	if (ft_options_parse(argc, argv, &o, why, sizeof(why))) {
		FUZZ_CHECK(!memcmp(&o, &again, sizeof(o)), "written in spite of: %s", why);
		check_refused(why, argv);
	} else {
		check_accepted(&o, text, len);
		FUZZ_CHECK(!ft_options_parse(argc, argv, &again, why, sizeof(why)), "%s", why);
		FUZZ_CHECK(o.command == again.command && o.argument == again.argument &&
				   o.config == again.config && o.for_ms == again.for_ms,
			   "the second time it says something else");
	}
	free(text);
	return 0;
}
