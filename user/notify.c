// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "notify.h"

static void notify(const char *text)
{
	_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;

	if (fd < 0 || len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') /* an abstract name */
		to.sun_path[0] = 0;
	/* Whoever does not listen any more does not matter. */
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		      (const struct sockaddr *)&to, offsetof(struct sockaddr_un, sun_path) + len);
}

void ft_notify_ready(const char *status)
{
	char text[160];

	snprintf(text, sizeof(text), "READY=1\nSTATUS=%.120s", status);
	notify(text);
}

void ft_notify_reloading(void)
{
	struct timespec t;
	char text[64];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 t.tv_sec * 1000000ULL + t.tv_nsec / 1000);
	notify(text);
}

void ft_notify_stopping(void)
{
	notify("STOPPING=1");
}

void ft_notify_alive(void)
{
	const char *pid = getenv("WATCHDOG_PID");

	if (getenv("WATCHDOG_USEC") && (!pid || strtol(pid, NULL, 10) == getpid()))
		notify("WATCHDOG=1");
}
