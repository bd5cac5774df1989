// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the textfile's readers may rely on. Each test runs in a process and a directory of its
 * own, so that umask and working directory are nobody else's. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sink.h"

#define REWRITES 10000

static char dir[64];
static char path[96];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/ft-sink-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fantail.prom", dir);
}

static void remove_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (unlinkat(dirfd(d), e->d_name, 0))
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	if (d)
		closedir(d);
	rmdir(dir);
}

TestSuite(sink, .init = make_dir, .fini = remove_dir, .timeout = 60);

static unsigned int entries(void)
{
	DIR *d = opendir(dir);
	unsigned int n = 0;

	cr_assert_not_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2; /* "." and ".." */
}

static size_t slurp(const char *file, char *ret, size_t size)
{
	FILE *f = fopen(file, "re");
	size_t n = 0;

	if (f) {
		n = fread(ret, 1, size - 1, f);
		fclose(f);
	}
	ret[n] = '\0';
	return n;
}

static int write_text(const char *text)
{
	return ft_sink_write(path, text, strlen(text));
}

/* "<number of x>\nxxxx…\nend\n": a part of it cannot pass for the whole. */
static size_t make_content(char *ret, size_t size, unsigned int nx)
{
	int head = snprintf(ret, size, "%u\n", nx);

	memset(ret + head, 'x', nx);
	memcpy(ret + head + nx, "\nend\n", 6);
	return (size_t)head + nx + 5;
}

static int content_is_whole(const char *text, size_t len)
{
	char want[32768];
	size_t nx = strtoul(text, NULL, 10);

	return len && nx < sizeof(want) - 64 &&
	       make_content(want, sizeof(want), (unsigned int)nx) == len &&
	       !memcmp(want, text, len);
}

/* Reads until it is killed; exits 1 at the first file that is not whole. Reports the first
 * read, so that the rewriting does not begin before it. */
static _Noreturn void read_for_ever(int ready)
{
	char text[32768];

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails does not get to kill it */
	for (;;) {
		size_t len = slurp(path, text, sizeof(text));

		if (!content_is_whole(text, len))
			_exit(1);
		if (ready >= 0 && write(ready, "", 1) == 1)
			ready = -1;
	}
}

Test(sink, a_reader_never_sees_a_part_of_the_file_during_10000_rewrites)
{
	char text[32768], byte;
	int fds[2], status;
	pid_t reader;

	cr_assert_eq(ft_sink_write(path, text, make_content(text, sizeof(text), 1)), 0);
	cr_assert_eq(pipe(fds), 0);
	reader = fork();
	cr_assert_geq(reader, 0);
	if (!reader)
		read_for_ever(fds[1]);
	cr_assert_eq(read(fds[0], &byte, 1), 1);
	for (unsigned int i = 0; i < REWRITES; i++) {
		size_t len = make_content(text, sizeof(text), i * 7919 % 20000);

		cr_assert_eq(ft_sink_write(path, text, len), 0);
	}
	kill(reader, SIGKILL);
	cr_assert_eq(waitpid(reader, &status, 0), reader);
	cr_assert(WIFSIGNALED(status), "the reader saw a file that was not whole");
}

Test(sink, the_file_holds_exactly_the_bytes_given)
{
	char text[64];

	cr_assert_eq(write_text("a 1\nb 2\n"), 0);
	cr_expect_eq(slurp(path, text, sizeof(text)), 8);
	cr_expect_str_eq(text, "a 1\nb 2\n");
	cr_assert_eq(write_text("c 3\n"), 0);
	cr_expect_eq(slurp(path, text, sizeof(text)), 4);
	cr_expect_eq(entries(), 1); /* the file, no temporary */
}

Test(sink, the_mode_is_0644_under_umask_077)
{
	struct stat st;

	umask(077);
	cr_assert_eq(write_text("a 1\n"), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode, S_IFREG | 0644);
}

Test(sink, a_missing_directory_is_ENOENT)
{
	cr_expect_eq(ft_sink_write("/tmp/ft-sink-none/fantail.prom", "a\n", 2), -ENOENT);
}

Test(sink, a_path_without_a_directory_means_the_current_one)
{
	cr_assert_eq(chdir(dir), 0);
	cr_assert_eq(ft_sink_write("fantail.prom", "a 1\n", 4), 0);
	cr_expect_eq(access(path, R_OK), 0);
	cr_expect_eq(entries(), 1);
}

Test(sink, a_symlink_in_place_of_the_temporary_is_not_followed)
{
	char tmp[128], victim[128], text[64];

	snprintf(tmp, sizeof(tmp), "%s/.fantail.prom.tmp", dir);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	cr_assert_eq(ft_sink_write(victim, "precious\n", 9), 0);
	cr_assert_eq(symlink(victim, tmp), 0);
	cr_expect_eq(write_text("a 1\n"), 0);
	slurp(victim, text, sizeof(text));
	cr_expect_str_eq(text, "precious\n");
	cr_expect_eq(entries(), 2); /* victim and the file: the link is gone */
}

Test(sink, a_hard_link_in_place_of_the_temporary_is_not_written_through)
{
	char tmp[128], victim[128], text[64];

	snprintf(tmp, sizeof(tmp), "%s/.fantail.prom.tmp", dir);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	cr_assert_eq(ft_sink_write(victim, "precious\n", 9), 0);
	cr_assert_eq(link(victim, tmp), 0);
	cr_expect_eq(write_text("a 1\n"), 0);
	slurp(victim, text, sizeof(text));
	cr_expect_str_eq(text, "precious\n");
}

/* "/dev/null" is what many write for "nowhere", and /dev/stdout is a link. */
Test(sink, what_is_no_regular_file_is_neither_replaced_nor_removed)
{
	char victim[128], text[64];
	struct stat st;

	snprintf(victim, sizeof(victim), "%s/victim", dir);
	cr_assert_eq(ft_sink_write(victim, "precious\n", 9), 0);
	cr_assert_eq(symlink(victim, path), 0);
	cr_expect_eq(write_text("a 1\n"), -EEXIST);
	cr_expect_eq(ft_sink_remove(path), -EEXIST);
	cr_expect_eq(lstat(path, &st), 0);
	cr_expect(S_ISLNK(st.st_mode));
	slurp(victim, text, sizeof(text));
	cr_expect_str_eq(text, "precious\n");
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkfifo(path, 0644), 0);
	cr_expect_eq(write_text("a 1\n"), -EEXIST);
	cr_expect_eq(ft_sink_remove(path), -EEXIST);
	cr_expect_eq(lstat(path, &st), 0);
	cr_expect(S_ISFIFO(st.st_mode));
	cr_expect_eq(entries(), 2); /* victim and the pipe: no temporary */
}

Test(sink, nothing_is_left_behind_when_the_rename_fails)
{
	cr_assert_eq(mkdir(path, 0755), 0); /* a directory stands where the file should go */
	cr_expect_eq(write_text("a 1\n"), -EISDIR);
	cr_expect_eq(entries(), 1); /* that directory */
}

Test(sink, a_full_disk_keeps_the_old_file_and_leaves_nothing_behind)
{
	const struct rlimit none = {.rlim_cur = 2, .rlim_max = RLIM_INFINITY};
	char text[64];

	cr_assert_eq(write_text("a 1\n"), 0);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0); /* short write of 2, then an error */
	cr_expect_eq(write_text("b 22\n"), -EFBIG);
	slurp(path, text, sizeof(text));
	cr_expect_str_eq(text, "a 1\n");
	cr_expect_eq(entries(), 1);
}

Test(sink, remove_takes_the_file_and_a_temporary_and_may_be_repeated)
{
	char tmp[128];

	snprintf(tmp, sizeof(tmp), "%s/.fantail.prom.tmp", dir);
	cr_assert_eq(write_text("a 1\n"), 0);
	cr_assert_eq(ft_sink_write(tmp, "left behind", 11), 0);
	cr_expect_eq(entries(), 2);
	cr_expect_eq(ft_sink_remove(path), 0);
	cr_expect_eq(entries(), 0);
	cr_expect_eq(ft_sink_remove(path), 0);
}

Test(sink, the_directory_is_what_stands_before_the_name)
{
	char name[64];

	cr_expect_eq(ft_sink_directory(path, F_OK, name, sizeof(name)), 0);
	cr_expect_str_eq(name, dir);
	cr_expect_eq(ft_sink_directory("/fantail.prom", F_OK, name, sizeof(name)), 0);
	cr_expect_str_eq(name, "/");
	cr_expect_eq(ft_sink_directory("fantail.prom", F_OK, name, sizeof(name)), 0);
	cr_expect_str_eq(name, ".");
	cr_expect_eq(ft_sink_directory("/no/such/fantail.prom", F_OK, name, sizeof(name)), -ENOENT);
	cr_expect_str_eq(name, "/no/such");
}
