// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Addresses, prefixes and endpoints. What is accepted means the same when it was printed and read
 * again, also what no text can say but the kernel: any 16 bytes. */
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "fuzz.h"

#define ERR_MAX 96

/* A message that fits its room, and outputs that were left alone. */
static void check_refusal(const void *ret, size_t size, const char *err, size_t err_len)
{
	const uint8_t *byte = ret;

	for (size_t i = 0; i < size; i++)
		FUZZ_CHECK(byte[i] == 0xa5, "byte %zu was written", i);
	FUZZ_CHECK(!err_len || (err[0] && strnlen(err, err_len) < err_len) || err_len == 1,
		   "no message");
}

static bool same_prefix(const struct ft_prefix *a, const struct ft_prefix *b)
{
	return a->len == b->len && a->negated == b->negated && !memcmp(a->addr, b->addr, 16);
}

static void check_prefix(const struct ft_prefix *p)
{
	char text[FT_ADDR_TEXT], err[ERR_MAX];
	uint8_t mask[16];
	struct ft_prefix again;

	FUZZ_CHECK(p->len <= 128, "length %u", p->len);
	ft_prefix_mask(p->len, mask);
	for (int i = 0; i < 16; i++)
		FUZZ_CHECK(!(p->addr[i] & ~mask[i]), "bits beyond the length");
	FUZZ_CHECK(ft_prefix_contains(p, p->addr) != p->negated, "it does not contain itself");
	ft_prefix_format(p, text);
	FUZZ_CHECK(!ft_prefix_parse(text, &again, err, sizeof(err)), "%s: %s", text, err);
	FUZZ_CHECK(same_prefix(p, &again), "%s is another one", text);
}

static void check_endpoint(const struct ft_endpoint *e)
{
	char text[FT_ADDR_TEXT], err[ERR_MAX];
	struct ft_endpoint again;

	FUZZ_CHECK(e->port_lo >= 1 && e->port_lo <= e->port_hi, "ports %u-%u", e->port_lo,
		   e->port_hi);
	FUZZ_CHECK(!e->prefix.negated, "negated");
	ft_endpoint_format(e, text);
	FUZZ_CHECK(!ft_endpoint_parse(text, &again, err, sizeof(err)), "%s: %s", text, err);
	FUZZ_CHECK(same_prefix(&e->prefix, &again.prefix) && e->port_lo == again.port_lo &&
			   e->port_hi == again.port_hi,
		   "%s is another one", text);
}

static void check_addr(const uint8_t addr[16], uint16_t port)
{
	char text[FT_ADDR_TEXT], err[ERR_MAX];
	struct ft_endpoint e;
	uint8_t again[16];

	ft_ip_format(addr, text);
	FUZZ_CHECK(!ft_addr_parse(text, again) && !memcmp(addr, again, 16), "%s", text);
	ft_addr_format(addr, port, text);
	if (!port)
		return;
	FUZZ_CHECK(!ft_endpoint_parse(text, &e, err, sizeof(err)), "%s: %s", text, err);
	FUZZ_CHECK(e.port_lo == port && e.port_hi == port && ft_prefix_contains(&e.prefix, addr),
		   "%s does not match itself", text);
}

static void parse_all(const char *text, size_t err_len)
{
	char *err = malloc(err_len ? err_len : 1);
	struct ft_prefix prefix;
	struct ft_endpoint endpoint;
	uint8_t addr[16];

	memset(addr, 0xa5, sizeof(addr));
	memset(&prefix, 0xa5, sizeof(prefix));
	memset(&endpoint, 0xa5, sizeof(endpoint));
	if (!ft_addr_parse(text, addr))
		check_addr(addr, 443);
	else
		check_refusal(addr, sizeof(addr), "-", 2);
	if (!ft_prefix_parse(text, &prefix, err, err_len))
		check_prefix(&prefix);
	else
		check_refusal(&prefix, sizeof(prefix), err, err_len);
	if (!ft_endpoint_parse(text, &endpoint, err, err_len))
		check_endpoint(&endpoint);
	else
		check_refusal(&endpoint, sizeof(endpoint), err, err_len);
	free(err);
}

/* What maps hold: any bytes. */
static void print_all(struct fuzz_in in)
{
	struct ft_endpoint e = {.prefix.len = fuzz_number(&in, 1) % 129};
	uint16_t port = fuzz_number(&in, 2), to = fuzz_number(&in, 2);
	uint8_t addr[16], mask[16];

	fuzz_bytes(&in, addr, sizeof(addr));
	check_addr(addr, port);
	ft_prefix_mask(e.prefix.len, mask);
	for (int i = 0; i < 16; i++)
		e.prefix.addr[i] = addr[i] & mask[i];
	e.prefix.negated = port & 1;
	check_prefix(&e.prefix);
	e.prefix.negated = false;
	e.port_lo = port < to ? port : to;
	e.port_hi = port < to ? to : port;
	if (e.port_lo)
		check_endpoint(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	parse_all(text, size % ERR_MAX);
	print_all((struct fuzz_in){data, size});
	free(text);
	return 0;
}
