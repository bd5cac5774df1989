/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One place to wait: signals, time and input as file descriptors behind one epoll.
 *
 *	struct ft_loop loop = FT_LOOP_INIT;
 *	rc = ft_loop_init(&loop);
 *	rc = rc ?: ft_loop_set_timer(&loop, 1000);
 *	while (!rc && !(rc = ft_loop_next(&loop, &event)))
 *		switch (event.kind) …
 *	ft_loop_close(&loop);
 */
#ifndef FT_LOOP_H
#define FT_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum ft_event_kind {
	FT_EVENT_SIGNAL,   /* signo */
	FT_EVENT_TICK,	   /* ticks: 1, or more if the caller was too slow for some */
	FT_EVENT_DEADLINE, /* once */
	FT_EVENT_FD,	   /* fd, hangup */
};

struct ft_event {
	enum ft_event_kind kind;
	int signo;
	uint64_t ticks;
	int fd;
	bool hangup; /* the other side is gone: remove the fd, or it will report for ever */
};

struct ft_loop {
	int epoll_fd, signal_fd, timer_fd, deadline_fd;
	sigset_t saved_mask;
	bool masked;
};
#define FT_LOOP_INIT                                                                               \
	{                                                                                          \
		.epoll_fd = -1, .signal_fd = -1, .timer_fd = -1, .deadline_fd = -1                 \
	}

/*
 * Take over SIGINT, SIGTERM, SIGQUIT, SIGHUP (unless it is ignored: nohup), SIGUSR1 and SIGWINCH
 * from the whole process; threads and children made later inherit the blocked mask. 0 or -errno. On
 * failure nothing is held; closing is allowed but not needed.
 */
int ft_loop_init(struct ft_loop *l);

/* A tick every interval_ms of CLOCK_MONOTONIC, the first after one interval; on a fixed grid,
 * so that late ticks do not shift the later ones. 0 ms: no more ticks. 0 or -errno. */
int ft_loop_set_timer(struct ft_loop *l, uint32_t interval_ms);
/* One FT_EVENT_DEADLINE after after_ms; 0 ms: none. 0 or -errno. */
int ft_loop_set_deadline(struct ft_loop *l, uint32_t after_ms);

/* Report when fd, which stays the caller's, is readable. 0 or -errno; -EPERM: a kind of file
 * that cannot be waited for (a regular file, /dev/null). */
int ft_loop_add_fd(struct ft_loop *l, int fd);
int ft_loop_del_fd(struct ft_loop *l, int fd);

/* Wait for one event. 0, with *ret written, or -errno. */
int ft_loop_next(struct ft_loop *l, struct ft_event *ret);

/* NULL-safe, idempotent. Signals that came meanwhile are swallowed (a second Ctrl-C does not
 * kill a process that is stopping), then the old mask is back. */
void ft_loop_close(struct ft_loop *l);

#endif
