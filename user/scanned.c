/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Small arithmetic with large consequences, kept apart from the files it is about. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scanned.h"
#include "snapshot.h"

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

int64_t ft_scanned_drift(const struct ft_hop_stats *before, const struct ft_hop_stats *after,
			 const struct ft_hop_scan *met)
{
	uint64_t active = ft_hop_active(before);
	uint64_t came = minus(after->opened + after->preexisting,
			      before->opened + before->preexisting + met->found);
	uint64_t least = minus(active, minus(ft_hop_closed(after), ft_hop_closed(before)));
	uint64_t most = active + came;

	if (met->flows < least)
		return (int64_t)(least - met->flows);
	if (met->flows > most)
		return -(int64_t)(met->flows - most);
	return 0;
}

int64_t ft_scanned_repair(int64_t drift_before, int64_t drift, struct ft_hop_limits *limits)
{
	int64_t both;

	if (drift > 0 && drift_before > 0) {
		both = drift < drift_before ? drift : drift_before;
		limits->repaired_closes += (uint64_t)both;
	} else if (drift < 0 && drift_before < 0) {
		both = drift > drift_before ? drift : drift_before;
		limits->repaired_opens += (uint64_t)-both;
	} else {
		return drift;
	}
	return drift - both;
}

bool ft_scanned_overflowed(const struct ft_totals *t)
{
	return t->loss[FT_LOSS_TABLE_FULL] || t->loss[FT_LOSS_BUSY] || t->loss[FT_LOSS_NOMEM];
}

/* How many of the ports low..high the list reserves. The kernel writes it sorted and joined. */
static uint32_t reserved_within(const char *list, unsigned int low, unsigned int high)
{
	uint32_t n = 0;

	while (*list >= '0' && *list <= '9') {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (first < low)
			first = low;
		if (last > high)
			last = high;
		if (first <= last)
			n += last - first + 1;
		list = *end == ',' ? end + 1 : end;
	}
	return n;
}

uint32_t ft_scanned_ports(const char *range, const char *reserved)
{
	unsigned int low, high, n;

	if (sscanf(range, "%u %u", &low, &high) != 2 || low > high || high > 65535)
		return 0;
	n = high - low + 1;
	if (n > 1)
		n &= ~1U;
	return n - reserved_within(reserved, low, low + n - 1);
}

uint64_t ft_scanned_exhausted_ns(const struct ft_ports_used *used, uint32_t limit)
{
	uint64_t ns = minus(used->mono_ns, used->mono_ns_before), more;
	double left_ns;

	more = minus(used->used, used->used_before);
	if (!used->mono_ns_before || !ns || !more || !limit)
		return 0;
	if (used->used >= limit)
		return 1;
	left_ns = (double)(limit - used->used) / more * ns;
	return left_ns < (double)INT64_MAX ? (uint64_t)left_ns + 1 : 0; /* centuries are never */
}

/* The n-th word of a line, at most up to its end; NULL: it has fewer. */
static const char *word(const char *line, unsigned int n)
{
	while (n--) {
		line += strcspn(line, " \n");
		line += *line == ' ';
		if (!*line || *line == '\n')
			return NULL;
	}
	return line;
}

bool ft_scanned_netstat(const char *text, const char *counter, uint64_t *ret)
{
	const char *names = strstr(text, "TcpExt: ");
	const char *values = names ? strstr(names + 1, "TcpExt: ") : NULL, *name;
	size_t len = strlen(counter);

	for (unsigned int i = 1; values && (name = word(names, i)); i++) {
		const char *value = word(values, i);

		if (strncmp(name, counter, len) || (name[len] != ' ' && name[len] != '\n'))
			continue;
		if (!value)
			return false;
		*ret = strtoull(value, NULL, 10);
		return true;
	}
	return false;
}

uint32_t ft_scanned_files(const char *text)
{
	static const char line[] = "Max open files";
	const char *at = strstr(text, line);
	unsigned long long limit;

	if (!at)
		return 0;
	at += strlen(line);
	at += strspn(at, " ");
	if (!strncmp(at, "unlimited", strlen("unlimited")))
		return UINT32_MAX;
	limit = strtoull(at, NULL, 10);
	return limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
}
