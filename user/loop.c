/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Owns the process's signal mask and its timers. It hands out one event at a time instead of
 * calling back: the callers' loops read as a list of what can happen. */
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void watched_signals(sigset_t *ret)
{
	struct sigaction hup;

	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGQUIT);
	sigaddset(ret, SIGWINCH);
	sigaddset(ret, SIGUSR1);
	/* A signalfd would report it although nohup said that it is to be ignored. */
	if (sigaction(SIGHUP, NULL, &hup) || hup.sa_handler != SIG_IGN)
		sigaddset(ret, SIGHUP);
}

static int open_all(struct ft_loop *l)
{
	sigset_t mask;
	int rc;

	watched_signals(&mask);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->deadline_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->epoll_fd < 0 || l->signal_fd < 0 || l->timer_fd < 0 || l->deadline_fd < 0)
		return -errno;
	rc = ft_loop_add_fd(l, l->signal_fd);
	if (!rc)
		rc = ft_loop_add_fd(l, l->timer_fd);
	if (!rc)
		rc = ft_loop_add_fd(l, l->deadline_fd);
	if (rc)
		return rc;
	if (sigprocmask(SIG_BLOCK, &mask, &l->saved_mask))
		return -errno;
	l->masked = true;
	return 0;
}

int ft_loop_init(struct ft_loop *l)
{
	int rc;

	*l = (struct ft_loop)FT_LOOP_INIT;
	rc = open_all(l);
	if (rc)
		ft_loop_close(l);
	return rc;
}

/* Absolute, or the time between reading the clock and arming would be added. */
static int arm(int timer_fd, uint32_t first_ms, uint32_t interval_ms)
{
	struct itimerspec it = {
		.it_interval = {interval_ms / 1000, interval_ms % 1000 * 1000000L},
	};

	if (first_ms) {
		clock_gettime(CLOCK_MONOTONIC, &it.it_value);
		it.it_value.tv_sec += first_ms / 1000;
		it.it_value.tv_nsec += first_ms % 1000 * 1000000L;
		if (it.it_value.tv_nsec >= 1000000000L) {
			it.it_value.tv_sec++;
			it.it_value.tv_nsec -= 1000000000L;
		}
	}
	return timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &it, NULL) ? -errno : 0;
}

int ft_loop_set_timer(struct ft_loop *l, uint32_t interval_ms)
{
	return arm(l->timer_fd, interval_ms, interval_ms);
}

int ft_loop_set_deadline(struct ft_loop *l, uint32_t after_ms)
{
	return arm(l->deadline_fd, after_ms, 0);
}

int ft_loop_add_fd(struct ft_loop *l, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

int ft_loop_del_fd(struct ft_loop *l, int fd)
{
	return epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL) ? -errno : 0;
}

/* 1: *ret is an event; 0: nothing to report after all (a timer set anew meanwhile). */
static int decode(const struct ft_loop *l, const struct epoll_event *ev, struct ft_event *ret)
{
	struct signalfd_siginfo si;
	uint64_t expired;
	int fd = ev->data.fd;

	if (fd == l->signal_fd) {
		if (read(fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
			return errno == EAGAIN ? 0 : -errno;
		*ret = (struct ft_event){.kind = FT_EVENT_SIGNAL, .signo = (int)si.ssi_signo};
		return 1;
	}
	if (fd != l->timer_fd && fd != l->deadline_fd) {
		*ret = (struct ft_event){.kind = FT_EVENT_FD,
					 .fd = fd,
					 .hangup = ev->events & (EPOLLHUP | EPOLLERR)};
		return 1;
	}
	if (read(fd, &expired, sizeof(expired)) != (ssize_t)sizeof(expired))
		return errno == EAGAIN ? 0 : -errno;
	*ret = (struct ft_event){.kind = fd == l->timer_fd ? FT_EVENT_TICK : FT_EVENT_DEADLINE,
				 .ticks = expired};
	return 1;
}

/* One event per epoll_wait: the kernel then serves its ready list in turn, and none starves. */
int ft_loop_next(struct ft_loop *l, struct ft_event *ret)
{
	struct epoll_event ev;
	int rc;

	do {
		rc = epoll_wait(l->epoll_fd, &ev, 1, -1);
		if (rc < 0)
			rc = errno == EINTR ? 0 : -errno; /* SIGCONT after Ctrl-Z */
		else if (rc > 0)
			rc = decode(l, &ev, ret);
	} while (rc == 0);
	return rc < 0 ? rc : 0;
}

void ft_loop_close(struct ft_loop *l)
{
	struct signalfd_siginfo si;

	if (!l)
		return;
	if (l->masked) {
		while (read(l->signal_fd, &si, sizeof(si)) > 0)
			;
		sigprocmask(SIG_SETMASK, &l->saved_mask, NULL);
		l->masked = false;
	}
	close_fd(&l->deadline_fd);
	close_fd(&l->timer_fd);
	close_fd(&l->signal_fd);
	close_fd(&l->epoll_fd);
}
