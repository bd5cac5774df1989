/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses, prefixes and ports: parse and print. PURE. An address is 16 bytes in network
 * order, IPv4 as ::ffff:a.b.c.d, so that IPv4 and v4-mapped IPv6 are one. */
#ifndef FT_ADDR_H
#define FT_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ft_prefix {
	uint8_t addr[16];
	uint8_t len;  /* 0..128 in the 16-byte form; an IPv4 /8 is 104; 0 = everything */
	bool negated; /* written as "!ADDR/LEN" */
};

/* PORT, PORT-PORT, or ADDR[/LEN]:PORT[-PORT]; IPv6 in brackets: [::1]:8080, [fd00::]/8:80.
 * ":PORT" = any address. */
struct ft_endpoint {
	struct ft_prefix prefix; /* never negated */
	uint16_t port_lo, port_hi;
};

/* All three: 0, or -EINVAL with a short reason in err ("port 70000 is not 1-65535");
 * outputs are written only on success. */
int ft_addr_parse(const char *text, uint8_t ret_addr[16]);
int ft_prefix_parse(const char *text, struct ft_prefix *ret, char *err, size_t err_len);
int ft_endpoint_parse(const char *text, struct ft_endpoint *ret, char *err, size_t err_len);

bool ft_addr_is_v4(const uint8_t addr[16]);
bool ft_addr_is_any(const uint8_t addr[16]);				    /* :: or 0.0.0.0 */
bool ft_prefix_contains(const struct ft_prefix *p, const uint8_t addr[16]); /* honours negated */
void ft_prefix_mask(uint8_t len, uint8_t ret_mask[16]);

#define FT_ADDR_TEXT 64
/* Canonical text: "10.0.0.1:80", "[::1]:80"; port 0 is printed. */
void ft_addr_format(const uint8_t addr[16], uint16_t port, char ret[FT_ADDR_TEXT]);
void ft_ip_format(const uint8_t addr[16], char ret[FT_ADDR_TEXT]);
/* "80", "80-90", "127.0.0.1:8080", "10.0.0.0/8:3306", "[::1]:80". */
void ft_endpoint_format(const struct ft_endpoint *e, char ret[FT_ADDR_TEXT]);
void ft_prefix_format(const struct ft_prefix *p, char ret[FT_ADDR_TEXT]);

#endif
