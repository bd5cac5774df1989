// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* See fakes.h. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fakes.h"
#include "log.h"

FILE *fuzz_fopen(const char *path, const char *mode);
int fuzz_clock_gettime(clockid_t id, struct timespec *ret);
int fuzz_open(const char *path, int flags, ...);
int fuzz_openat(int dir, const char *path, int flags, ...);
DIR *fuzz_opendir(const char *path);

static const uint8_t *file;
static size_t file_size;
static uint64_t now;

void fake_file(const uint8_t *data, size_t size)
{
	file = data;
	file_size = size;
}

void fake_clock(uint64_t ns)
{
	now = ns;
}

void fake_clock_add(uint64_t ns)
{
	now += ns;
}

FILE *fuzz_fopen(const char *path, const char *mode)
{
	(void)path;
	(void)mode;
	errno = ENOENT;
	return file && file_size ? fmemopen((void *)file, file_size, "r") : NULL;
}

int fuzz_clock_gettime(clockid_t id, struct timespec *ret)
{
	(void)id;
	now += 1000;
	ret->tv_sec = (time_t)(now / 1000000000);
	ret->tv_nsec = (long)(now % 1000000000);
	return 0;
}

int fuzz_open(const char *path, int flags, ...)
{
	(void)path;
	(void)flags;
	errno = ENOENT;
	return -1;
}

int fuzz_openat(int dir, const char *path, int flags, ...)
{
	(void)dir;
	return fuzz_open(path, flags);
}

/* A /proc without processes. */
DIR *fuzz_opendir(const char *path)
{
	(void)path;
	return opendir("/sys");
}

/* Formatted all the same: a text without an end is seen. */
void ft_log(enum ft_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
}

void ft_log_failing(int *last, int err, const char *what)
{
	if (err && err != *last)
		ft_log(FT_LOG_WARN, "cannot %s: %s", what, strerror(-err));
	*last = err;
}
