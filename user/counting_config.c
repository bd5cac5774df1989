// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Where a session's configuration comes from: the file, then the command line on top of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "counting.h"
#include "exit.h"

static char *read_file(const char *path, struct ft_buf *errors)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 1 << 20, len = 0;
	char *text = malloc(size + 1);
	ssize_t n = -1;

	while (fd >= 0 && text && len < size && (n = read(fd, text + len, size - len)) > 0)
		len += n;
	if (fd < 0 || !text || n < 0) {
		ft_buf_printf(errors, "%s: %s\n", path, strerror(errno));
		free(text);
		return NULL;
	}
	text[len] = 0;
	if (strlen(text) != len || len == size) {
		ft_buf_printf(errors, "%s: this is no configuration file (%s)\n", path,
			      len == size ? "more than 1 MiB" : "it has zero bytes");
		free(text);
		return NULL;
	}
	return text;
}

void ft_counting_override(struct ft_config *c, const struct ft_options *o)
{
	if (o->interval_ms)
		c->interval_ms = o->interval_ms;
	if (o->max_flows)
		c->max_flows = o->max_flows;
	if (o->textfile)
		snprintf(c->textfile, sizeof(c->textfile), "%s", o->textfile);
	if (o->netns) {
		c->netns = !strcmp(o->netns, "all")   ? FT_NETNS_ALL
			   : !strcmp(o->netns, "own") ? FT_NETNS_OWN
						      : FT_NETNS_PATH;
		snprintf(c->netns_path, sizeof(c->netns_path), "%s", o->netns);
	}
	if (o->cgroup)
		snprintf(c->cgroup, sizeof(c->cgroup), "%s", o->cgroup);
	if (o->source >= 0) {
		c->source = o->source;
		c->source_set = true;
	}
	if (c->cgroup[0] && !c->source_set)
		c->source = FT_SOURCE_SOCKOPS;
}

/* Tracing programs would count every socket. What a cgroup alone implies is set by now. */
static int check_cgroup(const struct ft_config *c, const struct ft_options *o, const char *path,
			struct ft_buf *errors)
{
	bool from_file = !o->cgroup || o->source < 0;

	if (!c->cgroup[0] || c->source == FT_SOURCE_SOCKOPS)
		return 0;
	ft_buf_printf(errors,
		      "%s%s%s takes source sockops, and %s asks for tracepoint: leave out one of "
		      "the two\n",
		      from_file ? path : "", from_file ? ": " : "",
		      o->cgroup ? "--cgroup" : "cgroup", o->source >= 0 ? "--source" : "source");
	return from_file ? FT_EXIT_CONFIG : FT_EXIT_USAGE;
}

int ft_counting_config(const struct ft_options *o, struct ft_config *ret, bool *ret_discover,
		       struct ft_buf *errors)
{
	const char *path = o->config ? o->config : FT_DEFAULT_CONFIG;
	int err = 0;

	ft_config_default(ret);
	if (o->config || !access(path, F_OK)) {
		_free_ char *text = read_file(path, errors);

		err = text ? ft_config_parse(text, path, ret, errors) : -EINVAL;
		if (!err && ret->quality)
			ft_buf_printf(errors,
				      "%s: quality: reserved, it has no effect in this version\n",
				      path);
	}
	if (err)
		return FT_EXIT_CONFIG;
	ft_counting_override(ret, o);
	*ret_discover = !ret->nhops;
	return check_cgroup(ret, o, path, errors);
}
