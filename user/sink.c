/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Owns how the textfile gets onto the disk: temporary, check, rename. There is no fsync: the
 * file is rewritten every second and means nothing after a power cut, and a slow disk must
 * not hold up the counting. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "sink.h"

/* "DIR/NAME" -> "DIR/.NAME.tmp"; NULL if there is no memory. */
static char *temporary_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char *tmp;

	if (asprintf(&tmp, "%.*s.%s.tmp", (int)(name - path), path, name) < 0)
		return NULL;
	return tmp;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* O_EXCL, after removing what is there: neither a symlink nor a hard link that somebody with
 * access to the directory prepared makes us write into another file. */
static int write_new(const char *tmp, const char *data, size_t len)
{
	_close_ int fd = -1;
	int rc, closing;

	if (unlink(tmp) && errno != ENOENT)
		return -errno;
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0644))
		return -errno;
	rc = write_all(fd, data, len);
	if (rc)
		return rc;
	closing = fd;
	fd = -1;
	return close(closing) ? -errno : 0; /* NFS and quotas report a full disk here */
}

int ft_sink_may_replace(const char *path)
{
	struct stat st;

	if (lstat(path, &st) || S_ISREG(st.st_mode))
		return 0; /* whatever else is wrong, writing will tell */
	return S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST;
}

int ft_sink_write(const char *path, const char *data, size_t len)
{
	_free_ char *tmp = temporary_of(path);
	int rc;

	if (!tmp)
		return -ENOMEM;
	rc = ft_sink_may_replace(path);
	if (rc)
		return rc;
	rc = write_new(tmp, data, len);
	if (!rc && rename(tmp, path))
		rc = -errno;
	if (rc)
		unlink(tmp);
	return rc;
}

int ft_sink_directory(const char *path, int mode, char *ret, size_t size)
{
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash - path) : 1;

	snprintf(ret, size, "%.*s", len ? len : 1, slash ? path : ".");
	return access(ret, mode) ? -errno : 0;
}

int ft_sink_remove(const char *path)
{
	_free_ char *tmp = temporary_of(path);
	int rc;

	if (!tmp)
		return -ENOMEM;
	unlink(tmp);
	rc = ft_sink_may_replace(path);
	if (!rc && unlink(path) && errno != ENOENT)
		rc = -errno;
	return rc;
}
