/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses in the ABI's form: 16 bytes, network order, IPv4 as ::ffff:a.b.c.d. */
#ifndef FT_ADDR_BPF_H
#define FT_ADDR_BPF_H

static __always_inline void addr_from_v4(__u8 to[16], __be32 v4)
{
	__u32 *w = (__u32 *)to;

	w[0] = 0;
	w[1] = 0;
	w[2] = v4 ? bpf_htonl(0xffff) : 0; /* 0.0.0.0 is ::, "any" has one spelling */
	w[3] = v4;
}

static __always_inline void addr_from_v6(__u8 to[16], const __be32 *from)
{
	__u32 *w = (__u32 *)to;

	w[0] = from[0];
	w[1] = from[1];
	w[2] = from[2];
	w[3] = from[3];
}

static __always_inline bool is_v4(const __u8 a[16])
{
	const __u32 *w = (const __u32 *)a;

	return !w[0] && !w[1] && w[2] == bpf_htonl(0xffff);
}

/* Keep in step with ft_realm_of() in user/discover.c; a test compares them. */
static __always_inline enum ft_realm realm_of(const __u8 a[16])
{
	const __u32 *w = (const __u32 *)a;
	__u32 top = bpf_ntohl(w[0]), v4 = bpf_ntohl(w[3]);

	if (is_v4(a)) {
		if (v4 >> 24 == 127)
			return FT_REALM_LOOPBACK;
		if (v4 >> 24 == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8 ||
		    v4 >> 22 == 0x191 || v4 >> 16 == 0xa9fe)
			return FT_REALM_PRIVATE;
		return FT_REALM_PUBLIC;
	}
	if (!w[0] && !w[1] && !w[2] && v4 == 1)
		return FT_REALM_LOOPBACK;
	if (top >> 25 == 0x7e || top >> 22 == 0x3fa)
		return FT_REALM_PRIVATE;
	return FT_REALM_PUBLIC;
}

#endif
