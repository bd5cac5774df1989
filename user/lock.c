// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One agent per host: flock() on a file in /run, which holds the agent's pid. The lock ends with
 * the process, however it ends; one that is killed leaves the file. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "lock.h"
#include "log.h"

static int read_pid(int fd)
{
	char text[16] = "", path[32], comm[16] = "";
	int pid = pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 0;
	_close_ int proc = -1;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	proc = open(path, O_RDONLY | O_CLOEXEC);
	/* whoever holds the lock without being us is not to be named, let alone killed */
	return proc >= 0 && read(proc, comm, sizeof(comm) - 1) > 0 && !strncmp(comm, "fantail", 7)
		       ? pid
		       : 0;
}

int ft_lock_holder(void)
{
	_close_ int fd = open(FT_LOCK_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !flock(fd, LOCK_SH | LOCK_NB))
		return 0;
	return read_pid(fd);
}

/* Whether the path still leads to the file that we hold: its last owner may have removed it
 * between our open() and our flock(). */
static bool is_current(int fd)
{
	struct stat held, there;

	return !fstat(fd, &held) && !stat(FT_LOCK_FILE, &there) && held.st_dev == there.st_dev &&
	       held.st_ino == there.st_ino;
}

/* An open file that is locked, or -errno; *ret_pid as in ft_lock_take(). -EAGAIN: its last owner is
 * just removing it. */
static int try_to_lock(int *ret_pid)
{
	int made = mkdir(FT_LOCK_DIR, 0755) ? -errno : 0; /* usually it is there */
	int fd = open(FT_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), busy = 1;

	if (fd < 0 && errno == ENOENT)
		return made && made != -EEXIST ? made : -EAGAIN;
	if (fd < 0)
		return -errno;
	/* A viewer that looks whether we run holds it for a moment. */
	for (int i = 0; i < 5 && (busy = flock(fd, LOCK_EX | LOCK_NB)); i++)
		usleep(20000);
	if (!busy && is_current(fd))
		return fd;
	*ret_pid = busy ? read_pid(fd) : 0;
	close(fd);
	return busy ? -EBUSY : -EAGAIN;
}

int ft_lock_take(int *ret_pid)
{
	char text[16];
	int n, fd;

	*ret_pid = 0;
	for (int i = 0; i < 5 && (fd = try_to_lock(ret_pid)) == -EAGAIN; i++)
		;
	if (fd < 0)
		return fd == -EAGAIN ? -EBUSY : fd;
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, text, n, 0) != n)
		ft_log(FT_LOG_DEBUG, "cannot write %s: %s", FT_LOCK_FILE, strerror(errno));
	return fd;
}

void ft_lock_release(int fd)
{
	if (is_current(fd) && !unlink(FT_LOCK_FILE))
		rmdir(FT_LOCK_DIR); /* stays where systemd or a neighbour holds it */
	close(fd);
}
