/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walks the settings of a group against a table of keys: unknown keys, types, and the few
 * kinds of values that every key shares. A setter only ever sees a setting of its type. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config_internal.h"

#define MAX_KEYS	16
#define DURATION_MAX_MS 3600000

static const char *const type_text[] = {
	[FT_KEY_STRING] = "must be a string in quotes",
	[FT_KEY_INT] = "must be a whole number without quotes",
	[FT_KEY_BOOL] = "must be true or false",
	[FT_KEY_LIST] = "must be a list: ( { ... }, { ... } )",
	[FT_KEY_STRINGS] = "must be a string, or a list of strings: (\"...\", \"...\")",
};

void ft_config_bad(struct ft_config_parser *p, const config_setting_t *s, const char *fmt, ...)
{
	char text[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ft_errors_add(p->errors, (int)config_setting_source_line(s), "%s: %s",
		      config_setting_name(s), text);
}

static bool are_strings(const config_setting_t *s)
{
	int n = config_setting_length(s);

	for (int i = 0; i < n; i++) {
		if (config_setting_type(config_setting_get_elem(s, (unsigned int)i)) !=
		    CONFIG_TYPE_STRING)
			return false;
	}
	return n > 0;
}

static bool has_type(const config_setting_t *s, enum ft_config_type type)
{
	int is = config_setting_type(s);

	switch (type) {
	case FT_KEY_STRING:
		return is == CONFIG_TYPE_STRING;
	case FT_KEY_INT:
		return is == CONFIG_TYPE_INT || is == CONFIG_TYPE_INT64;
	case FT_KEY_BOOL:
		return is == CONFIG_TYPE_BOOL;
	case FT_KEY_LIST:
		return is == CONFIG_TYPE_LIST;
	case FT_KEY_STRINGS:
		return is == CONFIG_TYPE_STRING ||
		       ((is == CONFIG_TYPE_LIST || is == CONFIG_TYPE_ARRAY) && are_strings(s));
	}
	return false;
}

static void unknown_key(struct ft_config_parser *p, const config_setting_t *s,
			const struct ft_config_key *keys, unsigned int nkeys)
{
	const char *names[MAX_KEYS], *near;
	const char *name = config_setting_name(s);
	int line = (int)config_setting_source_line(s);

	for (unsigned int i = 0; i < nkeys && i < MAX_KEYS; i++)
		names[i] = keys[i].name;
	near = ft_config_nearest(name, names, nkeys < MAX_KEYS ? nkeys : MAX_KEYS);
	if (near)
		ft_errors_add(p->errors, line, "unknown key \"%s\", did you mean \"%s\"?",
			      ft_config_quote(name).text, near);
	else
		ft_errors_add(p->errors, line, "unknown key \"%s\"", ft_config_quote(name).text);
}

static void apply(struct ft_config_parser *p, config_setting_t *s, const struct ft_config_key *keys,
		  unsigned int nkeys)
{
	for (unsigned int i = 0; i < nkeys; i++) {
		if (strcmp(config_setting_name(s), keys[i].name))
			continue;
		if (!has_type(s, keys[i].type))
			ft_config_bad(p, s, "%s", type_text[keys[i].type]);
		else if (keys[i].set)
			keys[i].set(p, s);
		return;
	}
	unknown_key(p, s, keys, nkeys);
}

void ft_config_keys(struct ft_config_parser *p, config_setting_t *group,
		    const struct ft_config_key *keys, unsigned int nkeys)
{
	int n = config_setting_length(group);

	for (int i = 0; i < n; i++)
		apply(p, config_setting_get_elem(group, (unsigned int)i), keys, nkeys);
}

int ft_config_copy(struct ft_config_parser *p, config_setting_t *s, char *ret, size_t size)
{
	const char *text = config_setting_get_string(s);
	size_t len = strlen(text);

	if (len >= size) {
		ft_config_bad(p, s, "\"%s\" is longer than %zu characters",
			      ft_config_quote(text).text, size - 1);
		return -EINVAL;
	}
	memcpy(ret, text, len + 1);
	return 0;
}

int ft_config_duration(struct ft_config_parser *p, config_setting_t *s, unsigned int min_ms,
		       uint32_t *ret_ms)
{
	const char *text = config_setting_get_string(s);
	uint32_t ms;

	if (ft_duration_parse(text, &ms)) {
		ft_config_bad(p, s, "\"%s\" is not a duration such as \"500ms\", \"1s\", \"5m\"",
			      ft_config_quote(text).text);
		return -EINVAL;
	}
	if (ms < min_ms || ms > DURATION_MAX_MS) {
		ft_config_bad(p, s, "%s is not between %ums and 1h", text, min_ms);
		return -EINVAL;
	}
	*ret_ms = ms;
	return 0;
}

int ft_config_number(struct ft_config_parser *p, config_setting_t *s, unsigned int min,
		     unsigned int max, uint32_t *ret)
{
	long long n = config_setting_get_int64(s);

	if (n < (long long)min || n > (long long)max) {
		ft_config_bad(p, s, "%lld is not between %u and %u", n, min, max);
		return -EINVAL;
	}
	*ret = (uint32_t)n;
	return 0;
}
