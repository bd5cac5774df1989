/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a service tells systemd: sd_notify(3), whose protocol is one datagram of lines to a socket
 * named in the environment and is promised to stay as it is. Not libsystemd, which has no static
 * library and which other service managers that speak the protocol do not need. SHELL.
 *
 * Without a service manager every call does nothing.
 */
#ifndef FT_NOTIFY_H
#define FT_NOTIFY_H

void ft_notify_ready(const char *status); /* also: reloaded */
void ft_notify_reloading(void);
void ft_notify_stopping(void);
/* Within WatchdogSec= again and again, or the service is killed and started again. */
void ft_notify_alive(void);

#endif
