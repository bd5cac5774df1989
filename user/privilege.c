// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Two lists are the whole decision. Since Linux 5.19 maps, iterators and pins take no capability
 * of who has them open; what else an agent does is looking at other processes and namespaces, and
 * loading programs. The latter comes late for pairs, whose hops discovery or a reload may bring any
 * time: so what loads is kept, but is effective only then. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "privilege.h"

#define BIT(cap) (1ULL << (cap))

/* setns(); /proc/PID/ns and fd of others; a textfile in a directory that is not root's */
#define LOOKING                                                                                    \
	(BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH) |                     \
	 BIT(CAP_DAC_OVERRIDE))
#define LOADING (BIT(CAP_BPF) | BIT(CAP_PERFMON))

static bool settled;
static uint64_t permitted, lowered; /* lowered: what is effective while nothing is loaded */

static int get_permitted(uint64_t *ret)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &head, data))
		return -errno;
	*ret = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return 0;
}

/* Nothing stays inheritable, and so nothing ambient. */
static int set(uint64_t may, uint64_t effective)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{.permitted = (uint32_t)may, .effective = (uint32_t)effective},
		{.permitted = may >> 32, .effective = effective >> 32},
	};

	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

/* Up to 5.18 every bpf(2) call wants CAP_BPF where unprivileged ones are forbidden; later ones
 * get as far as the bad descriptor. */
static bool bpf_wants_capability(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)-1;
	return syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) && errno == EPERM;
}

static void change(uint64_t effective)
{
	int err = settled ? set(permitted, effective) : 0;

	if (err)
		ft_log(FT_LOG_WARN, "cannot change capabilities: %s", strerror(-err));
}

void ft_privilege_settle(void)
{
	uint64_t held = 0;
	int err = get_permitted(&held);

	permitted = held & (LOOKING | LOADING);
	lowered = permitted & LOOKING;
	if (!err)
		err = set(permitted, lowered);
	if (err) {
		ft_log(FT_LOG_WARN, "cannot drop capabilities: %s", strerror(-err));
		return;
	}
	settled = true;
	if (bpf_wants_capability()) {
		lowered |= permitted & BIT(CAP_BPF);
		ft_privilege_lower();
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	ft_log(FT_LOG_DEBUG, "capabilities: %llx, %llx while programs are loaded",
	       (unsigned long long)lowered, (unsigned long long)permitted);
}

void ft_privilege_raise(void)
{
	change(permitted);
}

void ft_privilege_lower(void)
{
	change(lowered);
}
