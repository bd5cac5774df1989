/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A report as bytes. PURE: no tty, no clock, no locale. */
#ifndef FT_VIEW_H
#define FT_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "buf.h"
#include "report.h"

/* --- Prometheus text exposition (metric.c holds the table) --- */
/* scan/write facts that belong to the agent, not to the counters; absent: NAN */
struct ft_view_agent {
	double last_write_seconds; /* Unix time of this file */
	uint64_t write_errors;
};
/* The whole file, final newline included. At most 250 series with 6 hops. */
void ft_view_prom(const struct ft_report *r, const struct ft_view_agent *a, struct ft_buf *out);

/* --- JSON: `fantail show WHAT --json`; one object, final newline. design: README --- */
enum ft_show { FT_SHOW_HOPS, FT_SHOW_EDGES, FT_SHOW_LOSS };
/* only_hop: -1 all. 0 or -ENOMEM. */
int ft_view_json(const struct ft_report *r, enum ft_show what, int only_hop, struct ft_buf *out);

/* --- Plain tables for people: `fantail show WHAT`, `top --once`, not a tty --- */
void ft_view_text(const struct ft_report *r, enum ft_show what, int only_hop, struct ft_buf *out);

/* --- One screen of the live view --- */
enum ft_attr { FT_ATTR_NONE, FT_ATTR_TITLE, FT_ATTR_RATIO, FT_ATTR_WARN, FT_ATTR_DIM, FT_ATTR_KEY };
#define FT_FRAME_SPANS 24
struct ft_line {
	char text[512]; /* UTF-8 only if the screen said so, else ASCII; no control bytes */
	unsigned int nspans;
	struct { /* byte offsets into text; what lies outside every span is FT_ATTR_NONE */
		unsigned short start, end;
		enum ft_attr attr;
	} span[FT_FRAME_SPANS];
};
enum ft_pane_name {
	FT_PANE_FLOWS,	/* flows and their states */
	FT_PANE_LIMITS, /* what breaks next */
	FT_PANE_USE,	/* what the connections are used for */
	FT_NPANES
};
struct ft_screen {
	int width, height;
	bool utf8, paused, help;
	enum ft_pane_name pane;
	double paused_seconds; /* age of the frozen numbers */
	int scroll;	       /* first hop row shown */
	const char *
		message; /* one line for the user ("no agent: counting for this view"); NULL none */
};
struct ft_frame {
	int nlines;
	int scroll; /* first row shown: what was asked for, if there are so many rows */
	struct ft_line line[256];
};
/* Never more lines than height, never wider than width; fits any size down to 1x1. */
void ft_view_frame(const struct ft_report *r, const struct ft_screen *s, struct ft_frame *ret);

/* --- Flow rows: `fantail show flows` --- */
struct ft_view_flow {
	const struct ft_flow *flow;
	const struct ft_sock_row *row; /* NULL: the socket was not found by the dump */
	const char *hop, *process;     /* process: "" unknown */
	unsigned int pid;	       /* 0 unknown */
	uint64_t mono_ns, real_ns;     /* now */
	const uint64_t (*pair)[2]; /* ids of its pairs, the flows' ids each; NULL: pairs unknown */
	size_t npairs;
	const uint32_t *exchanges; /* NULL: pairing has not met it */
};
/* One JSON object without newline, in contract form. */
int ft_view_flow_json(const struct ft_view_flow *f, struct ft_buf *out);
void ft_view_flow_text(const struct ft_view_flow *f, struct ft_buf *out);
void ft_view_flow_header(struct ft_buf *out);

/* --- Lists of a scan: `fantail show listeners`, `fantail show ports` --- */
struct ft_view_listener {
	const struct ft_listener *listener;
	const char *hop;     /* NULL: none */
	const char *process; /* "" unknown */
	unsigned int pid;    /* 0 unknown */
};
struct ft_view_ports {
	const struct ft_ports_key *key;
	const struct ft_ports_used *used;
	const char *hop;
	unsigned int limit;    /* 0 unknown */
	uint64_t exhausted_ns; /* 0 never, as it looks */
};
int ft_view_listener_json(const struct ft_view_listener *l, struct ft_buf *out);
void ft_view_listener_text(const struct ft_view_listener *l, struct ft_buf *out);
void ft_view_listener_header(struct ft_buf *out);
int ft_view_ports_json(const struct ft_view_ports *p, struct ft_buf *out);
void ft_view_ports_text(const struct ft_view_ports *p, struct ft_buf *out);
void ft_view_ports_header(struct ft_buf *out);
int ft_view_space_json(unsigned int netns, const struct ft_space *s, struct ft_buf *out);
void ft_view_space_text(unsigned int netns, const struct ft_space *s, struct ft_buf *out);
struct ft_view_pair {
	const struct ft_flow *a, *b;
	const char *a_hop, *b_hop;
	uint64_t a_id, b_id;		    /* ids of the flows: together the pair's */
	uint64_t writes, first_ns, last_ns; /* CLOCK_MONOTONIC */
	uint64_t mono_ns, real_ns;	    /* now */
};
int ft_view_pair_json(const struct ft_view_pair *v, struct ft_buf *out);
void ft_view_pair_text(const struct ft_view_pair *v, struct ft_buf *out);
void ft_view_pair_header(struct ft_buf *out);
/* What a list begins with: {"schema":…,…,"NAME":[ and no newline. */
void ft_view_list_begin(const struct ft_report *r, const char *name, struct ft_buf *out);

/* "2026-11-20T12:00:00.000Z" from ns since the epoch. ret holds 32 bytes. */
void ft_time_format(uint64_t real_ns, char ret[32]);

#endif
