// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fantail agent: the one process per host that keeps the counters, audits them, and writes the
 * textfile. Writing may fail for as long as it likes; counting goes on. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "cleanup.h"
#include "clock.h"
#include "cmd.h"
#include "counting.h"
#include "exit.h"
#include "lock.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "privilege.h"
#include "sink.h"
#include "view.h"

/* Loading leaves holes of megabytes in the heap, and what is allocated and freed every second
 * wanders through them: given back once a minute, the agent stays as small as it is. */
#define TRIM_NS (60 * 1000000000ULL)

struct agent {
	const struct ft_options *options;
	const char *pins;
	struct ft_counting counting;
	struct ft_report report;
	struct ft_buf text;
	struct ft_view_agent facts;
	uint64_t next_write_ns, next_trim_ns;
	uint32_t tick_ms;
	bool failing; /* the last write failed: say so once */
	int unread;   /* see ft_log_failing() */
	bool keep;    /* at the end: the kernel goes on counting */
};

static const char *textfile(struct agent *a)
{
	return a->counting.config.textfile;
}

static void write_textfile(struct agent *a)
{
	int err;

	if (!textfile(a)[0])
		return;
	ft_counting_report(&a->counting, &a->report);
	ft_buf_reset(&a->text);
	a->facts.last_write_seconds = ft_clock_ns(CLOCK_REALTIME) / 1e9;
	ft_view_prom(&a->report, &a->facts, &a->text);
	err = ft_buf_error(&a->text);
	if (!err)
		err = ft_sink_write(textfile(a), a->text.data, a->text.len);
	if (err) {
		a->facts.write_errors++;
		if (!a->failing)
			ft_log(FT_LOG_WARN, "cannot write %s: %s; counting goes on, will try again",
			       textfile(a), strerror(-err));
	} else if (a->failing) {
		ft_log(FT_LOG_INFO, "writing %s again", textfile(a));
	}
	a->failing = err;
}

/* A directory that was asked for must be there; the default one may be missing. Looked at
 * before anything is adopted: a mistake here must not cost what was counted. */
static int check_textfile(const char *path)
{
	char dir[FT_PATH_LEN];

	if (ft_sink_may_replace(path)) {
		ft_log(FT_LOG_ERROR,
		       "cannot write %s: it is there, and no regular file. To write none: "
		       "--textfile \"\"",
		       path);
		return FT_EXIT_CANNOT_WRITE;
	}
	if (!ft_sink_directory(path, F_OK, dir, sizeof(dir)) || !strcmp(path, FT_DEFAULT_TEXTFILE))
		return 0;
	ft_log(FT_LOG_ERROR,
	       "cannot write %s: there is no directory %s. Make it, or name another: --textfile "
	       "FILE",
	       path, dir);
	return FT_EXIT_CANNOT_WRITE;
}

static int check_config(const struct ft_options *o)
{
	_free_ struct ft_config *c = calloc(1, sizeof(*c));
	struct ft_buf errors = {0};
	bool discover;
	int code = c ? ft_counting_config(o, c, &discover, &errors) : FT_EXIT_INTERNAL;

	if (errors.len)
		ft_log(code ? FT_LOG_ERROR : FT_LOG_WARN, "%s", ft_buf_text(&errors));
	if (!code)
		code = check_textfile(c->textfile);
	ft_buf_close(&errors);
	return code;
}

static void drop_default_textfile(struct agent *a)
{
	char *path = a->counting.config.textfile, dir[FT_PATH_LEN];

	if (strcmp(path, FT_DEFAULT_TEXTFILE) || !ft_sink_directory(path, F_OK, dir, sizeof(dir)))
		return;
	ft_log(FT_LOG_INFO,
	       "no metrics are written: there is no directory for %s (prometheus-node-exporter "
	       "makes it); "
	       "--textfile FILE names another place",
	       path);
	path[0] = 0;
}

static void tick(struct agent *a)
{
	uint64_t now = ft_clock_ns(CLOCK_MONOTONIC);
	int err = ft_counting_tick(&a->counting);

	ft_log_failing(&a->unread, err, "read the counters");
	if (err) /* old numbers must not look new */
		return;
	ft_notify_alive();
	if (now + a->tick_ms * 500000ULL < a->next_write_ns) /* the nearest tick */
		return;
	write_textfile(a);
	a->next_write_ns = now + a->counting.config.interval_ms * 1000000ULL;
	if (now >= a->next_trim_ns) {
		malloc_trim(0);
		a->next_trim_ns = now + TRIM_NS;
	}
}

/* One second or less, so that the interval is a whole number of ticks. */
static int set_timer(struct agent *a, struct ft_loop *loop)
{
	uint32_t interval = a->counting.config.interval_ms;

	a->tick_ms = interval / ((interval + 999) / 1000);
	return ft_loop_set_timer(loop, a->tick_ms);
}

static void ready(const struct agent *a)
{
	const struct ft_config *c = &a->counting.config;
	unsigned int n = 0;
	char text[64];

	for (unsigned int i = 0; i < c->nhops; i++)
		n += !c->hop[i].retired;
	snprintf(text, sizeof(text), "counting %u hop%s (%s)", n, n == 1 ? "" : "s",
		 c->source == FT_SOURCE_SOCKOPS ? "sockops" : "tracepoint");
	ft_log(FT_LOG_INFO, "%s", text);
	ft_notify_ready(text);
}

static void reload(struct agent *a, struct ft_loop *loop)
{
	char before[sizeof(a->counting.config.textfile)];

	ft_notify_reloading();
	memcpy(before, textfile(a), sizeof(before));
	if (check_config(a->options) || ft_counting_reload(&a->counting)) {
		ft_log(FT_LOG_WARN, "the configuration in force stays as it is");
		ft_notify_ready("the configuration in force stays as it is: see the log");
		return;
	}
	drop_default_textfile(a);
	if (before[0] && strcmp(before, textfile(a)) != 0)
		ft_sink_remove(before);
	set_timer(a, loop);
	a->next_write_ns = 0;
	tick(a);
	ready(a);
}

/* Whether it is to end now. */
static bool handle(struct agent *a, struct ft_loop *loop, const struct ft_event *e)
{
	if (e->kind == FT_EVENT_DEADLINE)
		return true;
	if (e->kind != FT_EVENT_SIGNAL)
		return false;
	if (e->signo == SIGHUP)
		reload(a, loop);
	a->keep |= e->signo == SIGUSR1;
	return a->keep || e->signo == SIGINT || e->signo == SIGTERM || e->signo == SIGQUIT;
}

static int run(struct agent *a, struct ft_loop *loop)
{
	struct ft_event event;
	int err = set_timer(a, loop);

	if (!err && a->options->for_ms)
		err = ft_loop_set_deadline(loop, a->options->for_ms);
	tick(a);
	ready(a);
	while (!err && !(err = ft_loop_next(loop, &event))) {
		if (event.kind == FT_EVENT_TICK)
			tick(a);
		else if (handle(a, loop, &event))
			return 0;
	}
	ft_log(FT_LOG_ERROR, "cannot wait for events: %s", strerror(-err));
	return FT_EXIT_INTERNAL;
}

static void stop(struct agent *a)
{
	ft_notify_stopping();
	if (a->keep)
		ft_log(FT_LOG_INFO, "the kernel goes on counting; the next agent takes over");
	/* Handing over is no stop: the metrics need no gap. */
	if (textfile(a)[0] && !a->keep)
		ft_sink_remove(textfile(a));
	if (!a->options->keep && !a->keep)
		ft_probe_unpin(a->pins);
	ft_counting_close(&a->counting);
}

static int count(struct agent *a, struct ft_loop *loop)
{
	int code = ft_counting_start(&a->counting, a->options, a->pins, NULL);

	if (code)
		return code;
	drop_default_textfile(a);
	ft_privilege_settle();
	code = run(a, loop);
	stop(a);
	return code;
}

static int agent(struct agent *a)
{
	struct ft_loop loop = FT_LOOP_INIT;
	int code;

	if (ft_loop_init(&loop)) {
		ft_log(FT_LOG_ERROR, "cannot wait for events: %s", strerror(errno));
		return FT_EXIT_INTERNAL;
	}
	code = count(a, &loop);
	ft_buf_close(&a->text);
	ft_loop_close(&loop);
	return code;
}

/* The lock, or what to exit with. */
static int lock(int *ret_lock)
{
	int pid, err = *ret_lock = ft_lock_take(&pid);

	if (err >= 0)
		return 0;
	if (err == -EBUSY && !pid)
		ft_log(FT_LOG_ERROR,
		       "another agent is running, or about to (it holds %s). One per host is "
		       "enough",
		       FT_LOCK_FILE);
	else if (err == -EBUSY)
		ft_log(FT_LOG_ERROR,
		       "another agent is running (pid %d). One per host is enough; stop it "
		       "first: kill %d",
		       pid, pid);
	else if (err == -EACCES || err == -EPERM)
		ft_log(FT_LOG_ERROR, "cannot lock %s: %s. Run as root: sudo fantail agent",
		       FT_LOCK_FILE, strerror(-err));
	else
		ft_log(FT_LOG_ERROR,
		       "cannot lock %s: %s. Make /run writable (containers: --tmpfs /run)",
		       FT_LOCK_FILE, strerror(-err));
	if (err == -EBUSY)
		return FT_EXIT_UNAVAILABLE;
	return err == -EACCES || err == -EPERM ? FT_EXIT_PERMISSION : FT_EXIT_CANNOT_WRITE;
}

int ft_cmd_agent(const struct ft_options *o)
{
	_free_ struct agent *a = calloc(1, sizeof(*a));
	int code, held;

	if (!a)
		return FT_EXIT_INTERNAL;
	a->options = o;
	a->pins = o->pins ? o->pins : FT_DEFAULT_PINS;
	signal(SIGPIPE, SIG_IGN); /* nobody has to listen to what it says */
	if (geteuid() && (code = ft_check_privileged(o)))
		return code;
	code = check_config(o);
	if (!code)
		code = lock(&held);
	if (code)
		return code;
	code = agent(a);
	ft_lock_release(held);
	return code;
}
