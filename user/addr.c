/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses, prefixes and endpoints: text to 16 bytes and back. An unspecified address
 * without a length means what it means to bind(): "0.0.0.0" is every IPv4 address and "::"
 * every address, not one host that no packet ever comes from. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"

#define V4_BITS 96U /* what an IPv4 length is short of its 16-byte form */

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

__attribute__((format(printf, 3, 4))) static int bad(char *err, size_t err_len, const char *fmt,
						     ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* All of text[0..len) as a number of at most 5 digits; strtoul() would take signs, spaces. */
static int parse_number(const char *text, size_t len, unsigned int *ret)
{
	unsigned int n = 0;

	if (len < 1 || len > 5)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		n = n * 10 + (unsigned int)(text[i] - '0');
	}
	*ret = n;
	return 0;
}

bool ft_addr_is_v4(const uint8_t addr[16])
{
	return !memcmp(addr, v4_mapped, sizeof(v4_mapped));
}

bool ft_addr_is_any(const uint8_t addr[16])
{
	static const uint8_t zero[16];

	return !memcmp(addr, zero, 16) || (ft_addr_is_v4(addr) && !memcmp(addr + 12, zero, 4));
}

void ft_prefix_mask(uint8_t len, uint8_t ret_mask[16])
{
	for (unsigned int i = 0; i < 16; i++) {
		unsigned int bits = len > i * 8 ? len - i * 8 : 0;

		ret_mask[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);
	}
}

bool ft_prefix_contains(const struct ft_prefix *p, const uint8_t addr[16])
{
	uint8_t mask[16], differs = 0;

	ft_prefix_mask(p->len, mask);
	for (unsigned int i = 0; i < 16; i++)
		differs |= (p->addr[i] ^ addr[i]) & mask[i];
	return !differs != p->negated;
}

int ft_addr_parse(const char *text, uint8_t ret_addr[16])
{
	uint8_t addr[16];

	if (inet_pton(AF_INET6, text, addr) != 1) {
		memcpy(addr, v4_mapped, sizeof(v4_mapped));
		if (inet_pton(AF_INET, text, addr + 12) != 1)
			return -EINVAL;
	}
	memcpy(ret_addr, addr, 16);
	return 0;
}

/* "[fd00::]/8", "[fd00::/8]" and "fd00::/8" -> "fd00::/8" */
static int strip_brackets(const char *text, char *ret, size_t size)
{
	const char *end = strchr(text, ']');
	int n;

	if (text[0] != '[')
		n = snprintf(ret, size, "%s", text);
	else if (end && (end[1] == '\0' || end[1] == '/'))
		n = snprintf(ret, size, "%.*s%s", (int)(end - text - 1), text + 1, end + 1);
	else
		return -EINVAL;
	return n < 0 || (size_t)n >= size ? -EINVAL : 0;
}

static void apply_mask(struct ft_prefix *p)
{
	uint8_t mask[16];

	ft_prefix_mask(p->len, mask);
	for (unsigned int i = 0; i < 16; i++)
		p->addr[i] &= mask[i];
}

int ft_prefix_parse(const char *text, struct ft_prefix *ret, char *err, size_t err_len)
{
	struct ft_prefix p = {.negated = text[0] == '!'};
	unsigned int len, max;
	char net[FT_ADDR_TEXT], *slash;

	text += p.negated;
	if (strip_brackets(text, net, sizeof(net)))
		return bad(err, err_len, "\"%.60s\" is not an address", text);
	slash = strchr(net, '/');
	if (slash)
		*slash++ = '\0';
	if (ft_addr_parse(net, p.addr))
		return bad(err, err_len, "\"%s\" is not an address", net);

	/* 16-byte form from here on */
	p.len = !ft_addr_is_any(p.addr) ? 128 : ft_addr_is_v4(p.addr) ? V4_BITS : 0;
	max = strchr(net, ':') ? 128 : 32;
	if (slash) {
		if (parse_number(slash, strlen(slash), &len) || len > max)
			return bad(err, err_len, "prefix length \"%s\" is not 0-%u", slash, max);
		p.len = (uint8_t)(128 - max + len);
	}
	apply_mask(&p);
	*ret = p;
	return 0;
}

static int parse_port(const char *text, size_t len, uint16_t *ret, char *err, size_t err_len)
{
	unsigned int port;

	if (parse_number(text, len, &port) || port < 1 || port > 65535)
		return bad(err, err_len, "port \"%.*s\" is not 1-65535", len > 40 ? 40 : (int)len,
			   text);
	*ret = (uint16_t)port;
	return 0;
}

static int parse_ports(const char *text, struct ft_endpoint *ret, char *err, size_t err_len)
{
	size_t first = strcspn(text, "-");

	if (parse_port(text, first, &ret->port_lo, err, err_len))
		return -EINVAL;
	ret->port_hi = ret->port_lo;
	if (!text[first])
		return 0;
	text += first + 1;
	if (parse_port(text, strlen(text), &ret->port_hi, err, err_len))
		return -EINVAL;
	if (ret->port_lo > ret->port_hi)
		return bad(err, err_len, "port range %u-%u runs backwards", ret->port_lo,
			   ret->port_hi);
	return 0;
}

int ft_endpoint_parse(const char *text, struct ft_endpoint *ret, char *err, size_t err_len)
{
	struct ft_endpoint e = {0};
	const char *colon = strrchr(text, ':');
	size_t host_len = colon ? (size_t)(colon - text) : 0;
	char host[FT_ADDR_TEXT];

	if (colon && strchr(colon, ']'))
		return bad(err, err_len, "\"%.60s\" has no port", text);
	if (host_len >= sizeof(host) || text[0] == '!')
		return bad(err, err_len, "\"%.60s\" is not an address and port", text);
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	if (host[0] != '[' && strchr(host, ':'))
		return bad(err, err_len, "IPv6 goes in brackets: [ADDRESS]:PORT");
	if (host_len && ft_prefix_parse(host, &e.prefix, err, err_len))
		return -EINVAL;
	if (parse_ports(colon ? colon + 1 : text, &e, err, err_len))
		return -EINVAL;
	*ret = e;
	return 0;
}

void ft_ip_format(const uint8_t addr[16], char ret[FT_ADDR_TEXT])
{
	if (ft_addr_is_v4(addr))
		inet_ntop(AF_INET, addr + 12, ret, FT_ADDR_TEXT);
	else
		inet_ntop(AF_INET6, addr, ret, FT_ADDR_TEXT);
}

void ft_addr_format(const uint8_t addr[16], uint16_t port, char ret[FT_ADDR_TEXT])
{
	char ip[FT_ADDR_TEXT];
	bool v4 = ft_addr_is_v4(addr);

	ft_ip_format(addr, ip);
	snprintf(ret, FT_ADDR_TEXT, "%s%.45s%s:%u", v4 ? "" : "[", ip, v4 ? "" : "]", port);
}

/* "/8", or "" where the address alone already means this length. */
static void format_length(const struct ft_prefix *p, char *ret, size_t size)
{
	bool v4 = ft_addr_is_v4(p->addr) && p->len >= V4_BITS;

	ret[0] = '\0';
	if (p->len < 128 || ft_addr_is_any(p->addr))
		snprintf(ret, size, "/%u", v4 ? p->len - V4_BITS : p->len);
}

void ft_prefix_format(const struct ft_prefix *p, char ret[FT_ADDR_TEXT])
{
	char ip[FT_ADDR_TEXT], len[8];

	ft_ip_format(p->addr, ip);
	format_length(p, len, sizeof(len));
	snprintf(ret, FT_ADDR_TEXT, "%s%.45s%s", p->negated ? "!" : "", ip, len);
}

void ft_endpoint_format(const struct ft_endpoint *e, char ret[FT_ADDR_TEXT])
{
	char ip[FT_ADDR_TEXT], len[8], ports[12];
	bool v4 = ft_addr_is_v4(e->prefix.addr);

	if (e->port_lo == e->port_hi)
		snprintf(ports, sizeof(ports), "%u", e->port_lo);
	else
		snprintf(ports, sizeof(ports), "%u-%u", e->port_lo, e->port_hi);
	if (!e->prefix.len) {
		snprintf(ret, FT_ADDR_TEXT, "%s", ports);
		return;
	}
	ft_ip_format(e->prefix.addr, ip);
	format_length(&e->prefix, len, sizeof(len));
	snprintf(ret, FT_ADDR_TEXT, "%s%.39s%s%.4s:%s", v4 ? "" : "[", ip, v4 ? "" : "]", len,
		 ports);
}
