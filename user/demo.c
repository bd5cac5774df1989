/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Owns the demo's namespace and its processes. The chain's leader is forked, not executed, and
 * closes every inherited file: the agent's BPF links must not stay alive in a demo process
 * when the agent is killed. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "demo.h"
#include "log.h"

#define NOTE_FD 3 /* in the leader */

/* What the leader writes once: error 0 = the chain listens. */
struct note {
	int error;
	char what[64];
};

static const char hops[] =
	"hops = (\n"
	"  { name = \"client\";  accept = \"443\"; },\n"
	"  { name = \"gateway\"; connect = \":80\"; from = \"client\"; process = \"demo-gateway\"; "
	"},\n"
	"  { name = \"queue\";   connect = \"127.0.0.1:8080\"; from = \"gateway\";"
	" process = \"demo-queue\"; limit = 15; },\n"
	"  { name = \"nginx\";   connect = \":3000\"; from = \"queue\"; process = \"demo-nginx\"; "
	"},\n"
	"  { name = \"node\";    connect = \":3306\"; from = \"nginx\"; process = \"demo-node\"; "
	"}\n"
	");\n";

const char *ft_demo_hops(void)
{
	return hops;
}

/* --- in the leader --- */

static int loopback_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		return -errno;
	return 0;
}

static void signals_to_wait_for(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM); /* ft_demo_stop() */
	sigaddset(ret, SIGCHLD); /* one of the chain died */
}

/* Nothing of the caller's but the pipe: not its files, its signals, nor its terminal. */
static int detach_from_caller(int note_fd)
{
	sigset_t mask;
	int null;

	if (dup2(note_fd, NOTE_FD) < 0 || close_range(NOTE_FD + 1, ~0U, 0))
		return -errno;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	for (int fd = 0; fd < NOTE_FD; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	close(null);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would reap by itself */
	signals_to_wait_for(&mask);
	return sigprocmask(SIG_SETMASK, &mask, NULL) || setpgid(0, 0) ? -errno : 0;
}

static int build(int note_fd, const char **ret_what)
{
	int rc;

	*ret_what = "leave the caller's files and signals";
	rc = detach_from_caller(note_fd);
	if (rc)
		return rc;
	*ret_what = "make a network namespace (it needs root)";
	if (unshare(CLONE_NEWNET))
		return -errno;
	*ret_what = "bring its loopback up";
	rc = loopback_up();
	if (rc)
		return rc;
	return ft_demo_chain_start(ret_what);
}

/* Stays until it is told to stop or one of the chain dies: a story with a hole is worse than
 * none. */
static _Noreturn void lead(int note_fd, pid_t caller)
{
	struct note note = {0};
	const char *what = "";
	sigset_t mask;
	int signo;

	prctl(PR_SET_NAME, "demo-leader");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != caller)
		_exit(1);
	note.error = -build(note_fd, &what);
	snprintf(note.what, sizeof(note.what), "%s", what);
	if (write(NOTE_FD, &note, sizeof(note)) == (ssize_t)sizeof(note) && !note.error) {
		close(NOTE_FD);
		signals_to_wait_for(&mask);
		sigwait(&mask, &signo);
	}
	ft_demo_chain_end();
	_exit(1);
}

/* --- in the caller --- */

/* 0, or -errno with the reason logged. */
static int await_chain(int note_fd)
{
	struct note note;
	ssize_t n;

	do
		n = read(note_fd, &note, sizeof(note));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(note)) {
		ft_log(FT_LOG_ERROR, "demo: its processes ended at once");
		return -ECHILD;
	}
	if (note.error)
		ft_log(FT_LOG_ERROR, "demo: cannot %s: %s", note.what, strerror(note.error));
	return -note.error;
}

static int fork_leader(struct ft_demo *d, int note_fd)
{
	pid_t caller = getpid();

	d->pid = fork();
	if (d->pid < 0) {
		ft_log(FT_LOG_ERROR, "demo: fork: %m");
		return -errno;
	}
	if (!d->pid)
		lead(note_fd, caller);
	snprintf(d->netns, sizeof(d->netns), "/proc/%d/ns/net", d->pid);
	return 0;
}

int ft_demo_start(struct ft_demo *d)
{
	_close_ int reader = -1, writer = -1;
	int fds[2], rc;

	*d = (struct ft_demo)FT_DEMO_INIT;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	reader = fds[0];
	writer = fds[1];
	rc = fork_leader(d, writer);
	if (rc)
		return rc;
	close(writer); /* or its death would not be the end of file */
	writer = -1;
	rc = await_chain(reader);
	if (!rc) {
		d->netns_fd = open(d->netns, O_RDONLY | O_CLOEXEC);
		rc = d->netns_fd < 0 ? -errno : 0;
	}
	if (rc)
		ft_demo_stop(d);
	return rc;
}

void ft_demo_stop(struct ft_demo *d)
{
	if (!d)
		return;
	if (d->pid > 0) {
		kill(d->pid, SIGTERM);
		while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (d->netns_fd >= 0)
		close(d->netns_fd);
	*d = (struct ft_demo)FT_DEMO_INIT;
}
