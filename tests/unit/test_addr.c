/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses, prefixes, endpoints: what parses, to what, and what is refused and why. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void addr_of(const char *text, uint8_t ret[16])
{
	cr_assert_eq(ft_addr_parse(text, ret), 0, "%s", text);
}

static struct ft_prefix prefix_of(const char *text)
{
	struct ft_prefix p;
	char err[128] = "";

	cr_assert_eq(ft_prefix_parse(text, &p, err, sizeof(err)), 0, "%s: %s", text, err);
	return p;
}

static bool in(const char *prefix, const char *addr)
{
	struct ft_prefix p = prefix_of(prefix);
	uint8_t a[16];

	addr_of(addr, a);
	return ft_prefix_contains(&p, a);
}

Test(addr, v4_and_v4_mapped_are_one)
{
	static const uint8_t want[16] = {[10] = 0xff, 0xff, 10, 1, 2, 3};
	uint8_t a[16], b[16];

	addr_of("10.1.2.3", a);
	addr_of("::ffff:10.1.2.3", b);
	cr_assert_arr_eq(a, want, 16);
	cr_assert_arr_eq(b, want, 16);
	cr_assert(ft_addr_is_v4(a));
	addr_of("::10.1.2.3", b);
	cr_assert_not(ft_addr_is_v4(b));
}

Test(addr, malformed_addresses_leave_the_output_alone)
{
	static const char *const bad[] = {
		"",
		" ",
		"1.2.3",
		"1.2.3.4.5",
		"256.0.0.1",
		"1.2.3.4 ",
		"01.2.3.4",
		"1.2.3.-4",
		":::",
		"1:2:3:4:5:6:7:8:9",
		"fe80::1%eth0",
		"[::1]",
		"12345::",
		"localhost",
		"10.0.0.0/8",
		"::g",
		"0x7f.1",
	};
	uint8_t a[16];

	for (size_t i = 0; i < COUNT(bad); i++) {
		memset(a, 0x5a, sizeof(a));
		cr_assert_eq(ft_addr_parse(bad[i], a), -EINVAL, "\"%s\"", bad[i]);
		cr_assert_eq(a[0], 0x5a);
		cr_assert_eq(a[15], 0x5a);
	}
}

Test(addr, any_is_any_of_both_families)
{
	uint8_t a[16];

	addr_of("::", a);
	cr_assert(ft_addr_is_any(a));
	addr_of("0.0.0.0", a);
	cr_assert(ft_addr_is_any(a));
	addr_of("::1", a);
	cr_assert_not(ft_addr_is_any(a));
	addr_of("0.0.0.1", a);
	cr_assert_not(ft_addr_is_any(a));
	addr_of("ff::", a);
	cr_assert_not(ft_addr_is_any(a));
}

Test(addr, mask_has_as_many_bits_as_its_length)
{
	uint8_t mask[16];

	for (unsigned int len = 0; len <= 128; len++) {
		ft_prefix_mask((uint8_t)len, mask);
		for (unsigned int bit = 0; bit < 128; bit++)
			cr_assert_eq(mask[bit / 8] >> (7 - bit % 8) & 1, bit < len, "/%u bit %u",
				     len, bit);
	}
}

Test(addr, prefix_lengths_are_in_the_16_byte_form)
{
	static const struct {
		const char *text;
		uint8_t len;
	} want[] = {
		{"10.0.0.0/8", 104},
		{"10.1.2.3", 128},
		{"10.1.2.3/32", 128},
		{"fd00::/8", 8},
		{"::1", 128},
		{"::ffff:10.0.0.0/104", 104},
		{"0.0.0.0/0", 96},
		{"0.0.0.0", 96},
		{"::", 0},
		{"::/0", 0},
		{"::/128", 128},
		{"0.0.0.0/32", 128},
		{"::ffff:0.0.0.0/96", 96},
		{"::ffff:0.0.0.0", 96},
		{"[fd00::]/8", 8},
		{"[fd00::/8]", 8},
		{"[::1]", 128},
	};

	for (size_t i = 0; i < COUNT(want); i++)
		cr_assert_eq(prefix_of(want[i].text).len, want[i].len, "%s", want[i].text);
}

Test(addr, host_bits_of_a_prefix_are_dropped)
{
	struct ft_prefix a = prefix_of("10.1.2.3/8"), b = prefix_of("10.0.0.0/8");

	cr_assert_arr_eq(a.addr, b.addr, 16);
	a = prefix_of("172.31.255.255/12");
	b = prefix_of("172.16.0.0/12");
	cr_assert_arr_eq(a.addr, b.addr, 16);
}

Test(addr, prefix_contains_its_network_only)
{
	cr_assert(in("10.0.0.0/8", "10.255.255.255"));
	cr_assert_not(in("10.0.0.0/8", "11.0.0.0"));
	cr_assert(in("172.16.0.0/12", "172.31.0.1"));
	cr_assert_not(in("172.16.0.0/12", "172.32.0.1"));
	cr_assert(in("10.0.0.1", "::ffff:10.0.0.1"));
	cr_assert_not(in("10.0.0.1", "10.0.0.2"));
	cr_assert(in("fe80::/10", "febf::1"));
	cr_assert_not(in("fe80::/10", "fec0::1"));
	cr_assert(in("::", "10.0.0.1"), "everything has IPv4 in it");
	cr_assert(in("0.0.0.0/0", "10.0.0.1"));
	cr_assert_not(in("0.0.0.0/0", "::1"), "0.0.0.0/0 is IPv4 only");
}

Test(addr, a_negated_prefix_contains_what_is_outside)
{
	cr_assert(prefix_of("!10.0.0.0/8").negated);
	cr_assert(in("!10.0.0.0/8", "11.0.0.1"));
	cr_assert_not(in("!10.0.0.0/8", "10.0.0.1"));
	cr_assert(in("!127.0.0.1", "::1"));
}

Test(addr, malformed_prefixes_say_what_is_wrong)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "\"\" is not an address"},
		{"!", "\"\" is not an address"},
		{"!!10.0.0.1", "\"!10.0.0.1\" is not an address"},
		{"10.0.0.0/33", "prefix length \"33\" is not 0-32"},
		{"10.0.0.0/", "prefix length \"\" is not 0-32"},
		{"10.0.0.0/-1", "prefix length \"-1\" is not 0-32"},
		{"10.0.0.0/ 8", "prefix length \" 8\" is not 0-32"},
		{"10.0.0.0/8/8", "prefix length \"8/8\" is not 0-32"},
		{"10.0.0.0/255.0.0.0", "prefix length \"255.0.0.0\" is not 0-32"},
		{"::/129", "prefix length \"129\" is not 0-128"},
		{"::/256", "prefix length \"256\" is not 0-128"},
		{"::1/4294967304", "prefix length \"4294967304\" is not 0-128"},
		{"/8", "\"\" is not an address"},
		{"[::1", "\"[::1\" is not an address"},
		{"[::1]x", "\"[::1]x\" is not an address"},
		{"nlb.example.org", "\"nlb.example.org\" is not an address"},
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ft_prefix p = {.len = 77};
		char err[128] = "";

		cr_assert_eq(ft_prefix_parse(bad[i].text, &p, err, sizeof(err)), -EINVAL, "%s",
			     bad[i].text);
		cr_assert_str_eq(err, bad[i].why, "%s: %s", bad[i].text, err);
		cr_assert_eq(p.len, 77, "the output was written");
	}
}

Test(addr, endpoints_print_as_they_are_meant)
{
	static const struct {
		const char *text, *canonical;
	} good[] = {
		{"80", "80"},
		{":80", "80"},
		{"8000-8099", "8000-8099"},
		{"80-80", "80"},
		{"1-65535", "1-65535"},
		{"127.0.0.1:8080", "127.0.0.1:8080"},
		{"127.0.0.1/32:8080", "127.0.0.1:8080"},
		{"10.9.9.9/8:3306", "10.0.0.0/8:3306"},
		{"10.0.0.0/8:3306-3310", "10.0.0.0/8:3306-3310"},
		{"[::1]:80", "[::1]:80"},
		{"[fd00::]/8:80", "[fd00::]/8:80"},
		{"[fd00::/8]:80", "[fd00::]/8:80"},
		{"[::ffff:10.0.0.1]:80", "10.0.0.1:80"},
		{"[::]:80", "80"},
		{"[::]/0:80", "80"},
		{"[::]/128:80", "[::]/128:80"},
		{"0.0.0.0:80", "0.0.0.0/0:80"},
		{"[2001:db8:1:2:3:4:5:6]/127:65534-65535",
		 "[2001:db8:1:2:3:4:5:6]/127:65534-65535"},
	};

	for (size_t i = 0; i < COUNT(good); i++) {
		struct ft_endpoint e, again;
		char err[128] = "", text[FT_ADDR_TEXT];

		cr_assert_eq(ft_endpoint_parse(good[i].text, &e, err, sizeof(err)), 0, "%s: %s",
			     good[i].text, err);
		ft_endpoint_format(&e, text);
		cr_assert_str_eq(text, good[i].canonical);
		cr_assert_eq(ft_endpoint_parse(text, &again, err, sizeof(err)), 0);
		cr_assert_arr_eq(&e, &again, sizeof(e), "%s reads back differently", text);
	}
}

Test(addr, malformed_endpoints_say_what_is_wrong)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "port \"\" is not 1-65535"},
		{":", "port \"\" is not 1-65535"},
		{"0", "port \"0\" is not 1-65535"},
		{"70000", "port \"70000\" is not 1-65535"},
		{"65536", "port \"65536\" is not 1-65535"},
		{"4294967376", "port \"4294967376\" is not 1-65535"}, /* 80 modulo 2^32 */
		{"-80", "port \"\" is not 1-65535"},
		{"+80", "port \"+80\" is not 1-65535"},
		{" 80", "port \" 80\" is not 1-65535"},
		{"80 ", "port \"80 \" is not 1-65535"},
		{"80-", "port \"\" is not 1-65535"},
		{"80-90-100", "port \"90-100\" is not 1-65535"},
		{"90-80", "port range 90-80 runs backwards"},
		{"http", "port \"http\" is not 1-65535"},
		{"10.0.0.1", "port \"10.0.0.1\" is not 1-65535"},
		{"10.0.0.1:", "port \"\" is not 1-65535"},
		{"10.0.0.1:80:90", "IPv6 goes in brackets: [ADDRESS]:PORT"},
		{"::1:8080", "IPv6 goes in brackets: [ADDRESS]:PORT"},
		{"[::1]", "\"[::1]\" has no port"},
		{"[::1]8080", "\"[::1]8080\" has no port"},
		{"[]:80", "\"\" is not an address"},
		{"[::1:80", "\"[::1\" is not an address"},
		{"::1]:80", "IPv6 goes in brackets: [ADDRESS]:PORT"},
		{"!10.0.0.1:80", "\"!10.0.0.1:80\" is not an address and port"},
		{"10.0.0.0/40:80", "prefix length \"40\" is not 0-32"},
		{"nginx:80", "\"nginx\" is not an address"},
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ft_endpoint e = {.port_lo = 7, .port_hi = 9};
		char err[128] = "";

		cr_assert_eq(ft_endpoint_parse(bad[i].text, &e, err, sizeof(err)), -EINVAL, "%s",
			     bad[i].text);
		cr_assert_str_eq(err, bad[i].why, "%s: %s", bad[i].text, err);
		cr_assert(e.port_lo == 7 && e.port_hi == 9, "the output was written");
	}
}

Test(addr, a_huge_text_is_refused_and_the_reason_stays_in_its_buffer)
{
	static const char patterns[] = "1:[/-.!a";
	char *text = malloc(100001), err[24];
	struct ft_endpoint e;
	struct ft_prefix p;

	for (size_t i = 0; patterns[i]; i++) {
		memset(text, patterns[i], 100000);
		text[100000] = '\0';
		memset(err, 'x', sizeof(err));
		cr_assert_eq(ft_endpoint_parse(text, &e, err, sizeof(err) - 1), -EINVAL);
		cr_assert_eq(ft_prefix_parse(text, &p, err, sizeof(err) - 1), -EINVAL);
		cr_assert_lt(strlen(err), sizeof(err) - 1);
		cr_assert_eq(err[sizeof(err) - 1], 'x');
		cr_assert_eq(ft_prefix_parse(text, &p, NULL, 0), -EINVAL);
	}
	free(text);
}

Test(addr, addresses_print_with_their_port)
{
	char text[FT_ADDR_TEXT];
	uint8_t a[16];

	addr_of("10.0.0.1", a);
	ft_addr_format(a, 80, text);
	cr_assert_str_eq(text, "10.0.0.1:80");
	ft_ip_format(a, text);
	cr_assert_str_eq(text, "10.0.0.1");
	addr_of("::1", a);
	ft_addr_format(a, 0, text);
	cr_assert_str_eq(text, "[::1]:0");
	ft_ip_format(a, text);
	cr_assert_str_eq(text, "::1");
	addr_of("2001:db8:1111:2222:3333:4444:5555:6666", a);
	ft_addr_format(a, 65535, text);
	cr_assert_str_eq(text, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
}

Test(addr, prefixes_print_as_they_read)
{
	static const char *const texts[] = {
		"10.0.0.0/8",
		"!10.0.0.0/8",
		"10.0.0.1",
		"::1",
		"!fd00::/8",
		"0.0.0.0/0",
		"::/0",
		"::/128",
		"0.0.0.0/32",
		"0.0.0.0/8",
		"!2001:db8:1111:2222:3333:4444:5555:6666",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct ft_prefix p = prefix_of(texts[i]);
		char text[FT_ADDR_TEXT];

		ft_prefix_format(&p, text);
		cr_assert_str_eq(text, texts[i]);
	}
}

Test(addr, no_prefix_outgrows_its_text)
{
	struct ft_endpoint e = {.port_lo = 65534, .port_hi = 65535}, again;
	char text[FT_ADDR_TEXT], err[64];

	memset(e.prefix.addr, 0xfe, 16);
	for (unsigned int len = 1; len <= 128; len++) {
		uint8_t mask[16];

		e.prefix.len = (uint8_t)len;
		ft_endpoint_format(&e, text);
		cr_assert_lt(strlen(text), FT_ADDR_TEXT - 1);
		cr_assert_eq(ft_endpoint_parse(text, &again, err, sizeof(err)), 0, "%s", text);
		ft_prefix_mask(again.prefix.len, mask);
		cr_assert_eq(again.prefix.len, len);
	}
}
