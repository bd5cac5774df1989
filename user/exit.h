/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Exit codes: those of sysexits.h, so that a script can tell what to do. */
#ifndef FT_EXIT_H
#define FT_EXIT_H

enum ft_exit {
	FT_EXIT_OK = 0,
	FT_EXIT_USAGE = 64,	  /* arguments */
	FT_EXIT_UNAVAILABLE = 69, /* a kernel feature is missing; no agent; another agent */
	FT_EXIT_INTERNAL = 70,	  /* our fault, or the kernel's */
	FT_EXIT_CANNOT_WRITE = 73,
	FT_EXIT_PERMISSION = 77,
	FT_EXIT_CONFIG = 78,
};

#endif
