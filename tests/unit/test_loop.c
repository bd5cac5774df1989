// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Signals, ticks and input as events. Times are tested from below only: a busy machine may be
 * late, but nothing may come early. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

static struct ft_loop loop = FT_LOOP_INIT;

static void start_loop(void)
{
	cr_assert_eq(ft_loop_init(&loop), 0);
}

static void stop_loop(void)
{
	ft_loop_close(&loop);
}

TestSuite(loop, .init = start_loop, .fini = stop_loop, .timeout = 30);

static struct ft_event next(void)
{
	struct ft_event e;

	cr_assert_eq(ft_loop_next(&loop, &e), 0);
	return e;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool blocked(int signo)
{
	sigset_t mask;

	cr_assert_eq(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
	return sigismember(&mask, signo) == 1;
}

Test(loop, each_signal_that_ends_or_resizes_is_an_event)
{
	const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGWINCH};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct ft_event e;

		raise(signals[i]);
		e = next();
		cr_expect_eq(e.kind, FT_EVENT_SIGNAL);
		cr_expect_eq(e.signo, signals[i]);
	}
}

Test(loop, an_ignored_SIGHUP_stays_ignored)
{
	ft_loop_close(&loop);
	signal(SIGHUP, SIG_IGN); /* as nohup does */
	cr_assert_eq(ft_loop_init(&loop), 0);
	raise(SIGHUP);
	raise(SIGTERM);
	cr_expect_eq(next().signo, SIGTERM);
}

Test(loop, ticks_come_no_earlier_than_the_interval)
{
	double begin = now();

	cr_assert_eq(ft_loop_set_timer(&loop, 20), 0);
	for (uint64_t ticks = 0; ticks < 5;) {
		struct ft_event e = next();

		cr_assert_eq(e.kind, FT_EVENT_TICK);
		cr_assert_geq(e.ticks, 1);
		ticks += e.ticks;
		cr_expect_geq(now() - begin, 0.020 * (double)ticks); /* the grid does not drift */
	}
}

Test(loop, missed_ticks_are_reported)
{
	cr_assert_eq(ft_loop_set_timer(&loop, 10), 0);
	usleep(55000); /* 5 intervals and a half */
	cr_expect_geq(next().ticks, 5);
}

Test(loop, the_interval_may_be_longer_than_a_second)
{
	double begin = now();

	cr_assert_eq(ft_loop_set_timer(&loop, 1100), 0);
	cr_expect_eq(next().kind, FT_EVENT_TICK);
	cr_expect_geq(now() - begin, 1.1);
}

Test(loop, a_timer_of_0_ms_is_off)
{
	cr_assert_eq(ft_loop_set_timer(&loop, 1), 0);
	cr_assert_eq(ft_loop_set_timer(&loop, 0), 0);
	cr_assert_eq(ft_loop_set_deadline(&loop, 30), 0);
	cr_expect_eq(next().kind, FT_EVENT_DEADLINE);
}

Test(loop, a_deadline_comes_once)
{
	double begin = now();

	cr_assert_eq(ft_loop_set_deadline(&loop, 10), 0);
	cr_expect_eq(next().kind, FT_EVENT_DEADLINE);
	cr_expect_geq(now() - begin, 0.010);
	cr_assert_eq(ft_loop_set_timer(&loop, 30), 0);
	cr_expect_eq(next().kind, FT_EVENT_TICK); /* 30 ms later: no second one came */
}

Test(loop, a_readable_fd_is_an_event_until_it_is_removed)
{
	struct ft_event e;
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(ft_loop_add_fd(&loop, fds[0]), 0);
	cr_assert_eq(write(fds[1], "q", 1), 1);
	e = next();
	cr_expect_eq(e.kind, FT_EVENT_FD);
	cr_expect_eq(e.fd, fds[0]);
	cr_expect_not(e.hangup);
	cr_assert_eq(ft_loop_del_fd(&loop, fds[0]), 0);
	raise(SIGTERM);
	cr_expect_eq(next().kind, FT_EVENT_SIGNAL);
}

Test(loop, an_fd_whose_other_end_closed_says_so)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(ft_loop_add_fd(&loop, fds[0]), 0);
	close(fds[1]);
	cr_expect(next().hangup);
}

Test(loop, a_file_that_cannot_be_waited_for_is_EPERM)
{
	int fd = open("/dev/null", O_RDONLY);

	cr_expect_eq(ft_loop_add_fd(&loop, fd), -EPERM);
	close(fd);
}

Test(loop, a_busy_fd_does_not_starve_signals_and_ticks)
{
	unsigned int seen = 0;
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(write(fds[1], "q", 1), 1); /* never read: always ready */
	cr_assert_eq(ft_loop_add_fd(&loop, fds[0]), 0);
	cr_assert_eq(ft_loop_set_timer(&loop, 1), 0);
	raise(SIGTERM);
	usleep(5000);
	for (int i = 0; i < 6; i++) /* three sources: twice round */
		seen |= 1u << next().kind;
	cr_expect_eq(seen, 1u << FT_EVENT_FD | 1u << FT_EVENT_TICK | 1u << FT_EVENT_SIGNAL);
}

Test(loop, closing_gives_the_signal_mask_back_and_may_be_repeated)
{
	cr_expect(blocked(SIGTERM));
	ft_loop_close(&loop);
	cr_expect_not(blocked(SIGTERM));
	cr_expect_eq(loop.epoll_fd, -1);
	ft_loop_close(&loop);
	ft_loop_close(NULL);
}

Test(loop, a_mask_that_was_set_before_is_kept)
{
	sigset_t mask;

	ft_loop_close(&loop);
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	cr_assert_eq(sigprocmask(SIG_BLOCK, &mask, NULL), 0);
	cr_assert_eq(ft_loop_init(&loop), 0);
	ft_loop_close(&loop);
	cr_expect(blocked(SIGINT));
	cr_expect_not(blocked(SIGTERM));
}

/* In a child: if it is wrong the signal kills. */
Test(loop, a_second_signal_while_stopping_does_not_kill)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		raise(SIGINT);
		raise(SIGTERM);
		ft_loop_close(&loop);
		_exit(7);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

Test(loop, a_process_without_free_files_gets_an_error_and_keeps_its_mask)
{
	struct rlimit files = {.rlim_cur = 64, .rlim_max = 64};
	int last = -1, fd, rc;

	ft_loop_close(&loop);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	while ((fd = dup(STDERR_FILENO)) >= 0)
		last = fd;
	close(last); /* room for one: the epoll is made, the signalfd is not */
	rc = ft_loop_init(&loop);
	close(last - 1); /* Criterion needs one to report */
	cr_expect_eq(rc, -EMFILE);
	cr_expect_eq(loop.epoll_fd, -1);
	cr_expect_not(blocked(SIGTERM));
}
