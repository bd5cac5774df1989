// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The checks. Each is a row: a function that finds its fact and, unless it is fine, says so in
 * one line with the remedy. The order is that of causes: what explains most comes first. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "check_internal.h"
#include "cleanup.h"
#include "config.h"
#include "counting.h"
#include "exit.h"
#include "lock.h"
#include "log.h"
#include "netns.h"
#include "probe.h"
#include "sink.h"

static bool wants_sockops(const struct ft_options *o)
{
	return ft_check_wanted(o).sockops;
}

/* A line of /proc/self/status that begins with `key`, as a number in `base`. */
static unsigned long long status_number(const char *key, int base)
{
	char line[256];
	unsigned long long value = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = strtoull(line + strlen(key), NULL, base);
	if (f)
		fclose(f);
	return value;
}

static bool capable(unsigned int cap)
{
	return status_number("CapEff:", 16) >> cap & 1;
}

static bool initial_userns(void)
{
	unsigned int inside = 1, outside = 1, count = 0;
	FILE *f = fopen("/proc/self/uid_map", "re");
	int n = f ? fscanf(f, "%u %u %u", &inside, &outside, &count) : 0;

	if (f)
		fclose(f);
	return n != 3 || (!inside && !outside && count == UINT32_MAX);
}

static enum status check_privileges(const struct ft_options *o, struct result *r)
{
	struct ft_check_wanted w = ft_check_wanted(o);
	bool instead = !w.source_set && capable(CAP_NET_ADMIN); /* sockops for tracepoint */
	const struct {
		unsigned int cap;
		const char *name;
		bool needed;
	} caps[] = {
		{CAP_BPF, "CAP_BPF", true},
		{CAP_PERFMON, "CAP_PERFMON", !w.sockops && !instead},
		{CAP_NET_ADMIN, "CAP_NET_ADMIN", w.sockops},
	};
	char missing[96] = "";

	for (unsigned int i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (caps[i].needed && !capable(caps[i].cap) && !capable(CAP_SYS_ADMIN)) {
			if (missing[0])
				strcat(missing, " and ");
			strcat(missing, caps[i].name);
		}
	if (missing[0]) {
		SAY(r, "missing %s (uid %u)", missing, (unsigned int)getuid());
		if (getuid())
			REMEDY(r, "run as root: sudo fantail %s", ft_command_name(o->command));
		else
			REMEDY(r, "this root was started without: add it (containers: --cap-add)");
		return CHECK_FAIL;
	}
	if (!initial_userns()) {
		SAY(r, "inside a user namespace, whose root may not load tracing programs");
		REMEDY(r, "run on the host, or in a container with --privileged --userns=host");
		return CHECK_FAIL;
	}
	if (!w.sockops && !capable(CAP_PERFMON) && !capable(CAP_SYS_ADMIN)) {
		SAY(r, "missing CAP_PERFMON (uid %u), which tracing programs need",
		    (unsigned int)getuid());
		REMEDY(r, "add it (containers: --cap-add)");
		return CHECK_WARN;
	}
	SAY(r, "uid %u, all capabilities that counting needs", (unsigned int)getuid());
	return CHECK_OK;
}

static enum status check_namespaces(const struct ft_options *o, struct result *r)
{
	struct ft_check_wanted w = ft_check_wanted(o);
	struct ft_netns ns = {0};
	int err = w.netns[0] ? ft_netns_path(w.netns, &ns) : 0;

	ft_netns_close(&ns);
	if (err) {
		SAY(r, "cannot open network namespace %s: %s", w.netns, ft_netns_error(err));
		REMEDY(r, "name one that is there: /run/netns/NAME, or /proc/PID/ns/net");
		r->code = FT_EXIT_CONFIG;
		return CHECK_FAIL;
	}
	if (capable(CAP_SYS_ADMIN)) {
		SAY(r, "may look into other network namespaces (CAP_SYS_ADMIN)");
		return CHECK_OK;
	}
	SAY(r, "no CAP_SYS_ADMIN: flows that were open before in other network namespaces stay "
	       "unknown");
	REMEDY(r, "run as root, or count only this one: --netns own");
	return CHECK_WARN;
}

static bool older_than(unsigned int major, unsigned int minor, struct utsname *ret)
{
	unsigned int is_major = 0, is_minor = 0;

	uname(ret);
	sscanf(ret->release, "%u.%u", &is_major, &is_minor);
	return is_major < major || (is_major == major && is_minor < minor);
}

/* Before 5.11 maps count as locked memory. */
static enum status check_memlock(const struct ft_options *o, struct result *r)
{
	struct rlimit limit;
	struct utsname u;

	(void)o;
	if (!older_than(5, 11, &u) || capable(CAP_SYS_RESOURCE) ||
	    getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY) {
		SAY(r, "memory for maps is not limited");
		return CHECK_OK;
	}
	SAY(r, "kernel %s counts maps as locked memory, of which there may be %llu KiB", u.release,
	    (unsigned long long)limit.rlim_cur / 1024);
	REMEDY(r, "LimitMEMLOCK=infinity in the unit, or: ulimit -l unlimited");
	return CHECK_FAIL;
}

static enum status check_kernel(const struct ft_options *o, struct result *r)
{
	struct utsname u;

	(void)o;
	if (older_than(5, 10, &u)) {
		SAY(r, "kernel %s is older than 5.10", u.release);
		REMEDY(r, "run a kernel from 5.10 on");
		return CHECK_FAIL;
	}
	SAY(r, "kernel %s", u.release);
	return CHECK_OK;
}

static enum status check_btf(const struct ft_options *o, struct result *r)
{
	struct ft_check_wanted w = ft_check_wanted(o);

	if (!access("/sys/kernel/btf/vmlinux", R_OK)) {
		SAY(r, "the kernel describes its types (/sys/kernel/btf/vmlinux)");
		return CHECK_OK;
	}
	SAY(r, "this kernel has no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)");
	if (w.sockops || !w.source_set) {
		REMEDY(r, "sockops counts instead: connections made from then on, without scans "
			  "and pairs");
		return CHECK_WARN;
	}
	REMEDY(r, "leave it to fantail, which takes sockops then: no --source tracepoint");
	return CHECK_FAIL;
}

static enum status check_lockdown(const struct ft_options *o, struct result *r)
{
	char text[128] = "";
	_close_ int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);

	(void)o;
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "[confidentiality]")) {
		SAY(r, "lockdown=confidentiality: owners of MPTCP listeners stay unknown");
		REMEDY(r, "nothing to do: everything else works");
		return CHECK_WARN;
	}
	SAY(r, "no lockdown that matters");
	return CHECK_OK;
}

int ft_check_cgroup2(char *ret, int size)
{
	char line[1024], path[512];
	int err = -ENOENT;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && err && fgets(line, sizeof(line), f))
		if (strstr(line, " - cgroup2 ") &&
		    sscanf(line, "%*s %*s %*s %*s %511s", path) == 1) {
			snprintf(ret, size, "%s", path);
			err = 0;
		}
	if (f)
		fclose(f);
	return err;
}

static enum status check_cgroup2(const struct ft_options *o, struct result *r)
{
	char path[512];
	struct ft_check_wanted w;
	struct statfs fs;

	if (ft_check_cgroup2(path, sizeof(path))) {
		SAY(r, "cgroup2 is not mounted");
		REMEDY(r, "mount -t cgroup2 none /sys/fs/cgroup/unified (only --cgroup needs it)");
		return wants_sockops(o) ? CHECK_FAIL : CHECK_WARN;
	}
	w = ft_check_wanted(o);
	if (w.cgroup[0] && (statfs(w.cgroup, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)) {
		SAY(r, "%s is not a cgroup2 directory", w.cgroup);
		REMEDY(r, "name a directory below %s", path);
		return CHECK_FAIL;
	}
	SAY(r, "cgroup2 is at %s", path);
	return CHECK_OK;
}

static enum status check_bpffs(const struct ft_options *o, struct result *r)
{
	struct statfs fs;

	(void)o;
	if (!statfs("/sys/fs/bpf", &fs) && fs.f_type == BPF_FS_MAGIC) {
		SAY(r, "bpffs is at /sys/fs/bpf");
		return CHECK_OK;
	}
	SAY(r, "bpffs is not mounted: an agent runs unpinned, nobody can look at its counters");
	REMEDY(r, "mount -t bpf bpf /sys/fs/bpf");
	return CHECK_WARN;
}

static enum status check_config(const struct ft_options *o, struct result *r)
{
	struct ft_config *c = calloc(1, sizeof(*c));
	bool discover;
	enum status status = CHECK_OK;

	if (!c)
		return CHECK_FAIL;
	r->code = ft_counting_config(o, c, &discover, &r->lines);
	if (r->code) {
		SAY(r, "wrong:");
		REMEDY(r, "see fantail.conf(5), or start from: fantail discover");
		status = CHECK_FAIL;
	} else if (r->lines.len) {
		SAY(r, "right, but:");
		REMEDY(r, "take it out");
		status = CHECK_WARN;
	} else if (discover) {
		SAY(r, "no configuration: hops come from what runs on this host");
	} else {
		SAY(r, "configuration has %u hop%s", c->nhops, c->nhops == 1 ? "" : "s");
	}
	free(c);
	return status;
}

static enum status check_textfile(const struct ft_options *o, struct result *r)
{
	struct ft_config *c = calloc(1, sizeof(*c));
	struct ft_buf errors = {0};
	char dir[FT_PATH_LEN];
	bool discover;
	enum status status = CHECK_OK;
	int err;

	if (!c || ft_counting_config(o, c, &discover, &errors)) {
		SAY(r, "not known while the configuration is wrong");
		REMEDY(r, "mend the configuration first");
		status = CHECK_WARN;
	} else if (!c->textfile[0]) {
		SAY(r, "no textfile is written");
	} else {
		err = ft_sink_directory(c->textfile, W_OK, dir, sizeof(dir));
		if (ft_sink_may_replace(c->textfile)) {
			SAY(r, "%s is there, and no regular file", c->textfile);
			REMEDY(r, "name another: --textfile FILE; or \"\", to write none");
			status = CHECK_FAIL;
		} else if (err) {
			SAY(r, "cannot write to %s: %s", dir, strerror(-err));
			REMEDY(r, "install prometheus-node-exporter, or name another: --textfile "
				  "FILE");
			/* the agent does without the default one, and without no other */
			status = strcmp(c->textfile, FT_DEFAULT_TEXTFILE) ? CHECK_FAIL : CHECK_WARN;
		} else {
			SAY(r, "metrics go to %s", c->textfile);
		}
	}
	ft_buf_close(&errors);
	free(c);
	return status;
}

static enum status check_seccomp(const struct ft_options *o, struct result *r)
{
	(void)o;
	if (status_number("Seccomp:", 10) == 2) {
		SAY(r, "a seccomp filter is in force and may refuse bpf(2)");
		REMEDY(r, "start the container with a profile that allows bpf, "
			  "--cap-add BPF,PERFMON,NET_ADMIN");
		return CHECK_WARN;
	}
	SAY(r, "no seccomp filter");
	return CHECK_OK;
}

static enum status check_agent(const struct ft_options *o, struct result *r)
{
	const char *pins = o->pins ? o->pins : FT_DEFAULT_PINS;
	struct ft_probe p = FT_PROBE_NONE;
	int pid = ft_lock_holder(), err;
	char why[128];

	if (pid) {
		SAY(r, "an agent is running (pid %d)", pid);
		return CHECK_OK;
	}
	err = ft_probe_open(&p, pins, why, sizeof(why));
	ft_probe_close(&p);
	if (err && err != -ESTALE) {
		SAY(r, "no agent is running");
		return CHECK_OK;
	}
	if (err)
		SAY(r, "no agent is running, but there is something pinned in %s: %s", pins, why);
	else
		SAY(r, "no agent is running, but its programs go on counting (%s)", pins);
	REMEDY(r, "start one: sudo fantail agent; or remove them: sudo fantail detach");
	return CHECK_WARN;
}

static const struct {
	const char *name;
	enum status (*check)(const struct ft_options *o, struct result *r);
	enum ft_exit code; /* when it fails */
	bool explains;	   /* whether it can be why programs do not load */
} checks[] = {
	{"kernel", check_kernel, FT_EXIT_UNAVAILABLE, true},
	{"privileges", check_privileges, FT_EXIT_PERMISSION, true},
	{"btf", check_btf, FT_EXIT_UNAVAILABLE, true},
	{"cgroup2", check_cgroup2, FT_EXIT_UNAVAILABLE, true},
	{"memlock", check_memlock, FT_EXIT_PERMISSION, true},
	{"seccomp", check_seccomp, FT_EXIT_PERMISSION, true},
	{"lockdown", check_lockdown, FT_EXIT_UNAVAILABLE, false},
	{"namespaces", check_namespaces, FT_EXIT_PERMISSION, false},
	{"bpffs", check_bpffs, FT_EXIT_UNAVAILABLE, false},
	{"config", check_config, FT_EXIT_CONFIG, false},
	{"textfile", check_textfile, FT_EXIT_CANNOT_WRITE, false},
	{"programs", ft_check_programs, FT_EXIT_UNAVAILABLE, false},
	{"pairs", ft_check_pairs, FT_EXIT_UNAVAILABLE, false},
	{"agent", check_agent, FT_EXIT_UNAVAILABLE, false},
};
#define NCHECKS (sizeof(checks) / sizeof(checks[0]))

int ft_check_all(const struct ft_options *o)
{
	static const char *const words[] = {"ok  ", "warn", "fail"};
	int code = FT_EXIT_OK;

	for (unsigned int i = 0; i < NCHECKS; i++) {
		struct result r = {.text = ""};
		enum status s = checks[i].check(o, &r);

		printf("%s  %s: %s\n%s", words[s], checks[i].name, r.text, ft_buf_text(&r.lines));
		if (s != CHECK_OK)
			printf("      %s\n", r.remedy);
		if (s == CHECK_FAIL && !code)
			code = r.code ? r.code : (int)checks[i].code;
		ft_buf_close(&r.lines);
	}
	return code;
}

int ft_check_explain(const struct ft_options *o, const char *why)
{
	for (unsigned int i = 0; i < NCHECKS; i++) {
		struct result r = {.text = ""};
		enum status s;

		if (!checks[i].explains)
			continue;
		s = checks[i].check(o, &r);
		if (s == CHECK_FAIL || (s == CHECK_WARN && (checks[i].check == check_seccomp ||
							    checks[i].check == check_privileges))) {
			ft_log(FT_LOG_ERROR, "%s. %s", r.text, r.remedy);
			ft_log(FT_LOG_DEBUG, "%s", why);
			return checks[i].code;
		}
	}
	ft_log(FT_LOG_ERROR, "%s. See: fantail check -v", why);
	ft_log(FT_LOG_DEBUG, "%s", ft_log_libbpf_tail());
	return FT_EXIT_UNAVAILABLE;
}

int ft_check_privileged(const struct ft_options *o)
{
	struct result r = {.text = ""};

	if (check_privileges(o, &r) != CHECK_FAIL)
		return 0;
	ft_log(FT_LOG_ERROR, "%s. %s", r.text, r.remedy);
	return FT_EXIT_PERMISSION;
}
