# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is installed where (make install; the packages use it too), and the three ways to carry
# fantail to another machine: one static binary, a Debian package, an RPM. Included by the Makefile.
# What is made is in $(DIST), the same bytes from every directory. See docs/packaging.md.

DIST := $(O)/dist
MACHINE := $(firstword $(subst -, ,$(or $(TRIPLET),$(shell uname -m))))
STATIC := $(DIST)/fantail-$(VERSION)-$(MACHINE)

# --- install ---
PROGRAM ?= $(O)/fantail
DOCDIR ?= $(PREFIX)/share/doc/fantail
UNITDIR ?= $(PREFIX)/lib/systemd/system
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
put = install -D -m 0644

# what `fantail demo --lab` runs
LAB = scripts/lab scripts/deps scripts/tally tests/e2e/alone tests/e2e/lib.sh \
	$(shell find tests/lab -type f)

# one man page for all of them, by each name
COMMANDS = top agent show check discover demo record detach

install: $(PROGRAM)
	install -d $(DESTDIR)$(SYSCONFDIR)/fantail
	install -D -m 0755 $(PROGRAM) $(DESTDIR)$(PREFIX)/sbin/fantail
	install -D -m 0755 packaging/handover $(DESTDIR)$(PREFIX)/libexec/fantail/handover
	$(put) -t $(DESTDIR)$(PREFIX)/share/man/man8 docs/*.8
	for c in $(COMMANDS); do \
		$(put) packaging/command.8 $(DESTDIR)$(PREFIX)/share/man/man8/fantail-$$c.8 || exit; done
	$(put) -t $(DESTDIR)$(PREFIX)/share/man/man5 docs/*.5
	$(put) -t $(DESTDIR)$(DOCDIR) README.md
	$(put) -t $(DESTDIR)$(DOCDIR)/docs docs/*.md
	$(put) scripts/fantail.conf.example $(DESTDIR)$(DOCDIR)/examples/fantail.conf
	$(put) -t $(DESTDIR)$(UNITDIR) packaging/fantail.service
	sed -i 's,/usr/sbin/fantail,$(PREFIX)/sbin/fantail,' $(DESTDIR)$(UNITDIR)/fantail.service
	$(put) -t $(DESTDIR)$(PREFIX)/share/fantail packaging/fantail-more.conf
	$(put) packaging/completions/fantail.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/fantail
	$(put) -t $(DESTDIR)$(ZSHDIR) packaging/completions/_fantail
	$(put) -t $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d packaging/completions/fantail.fish
	$(put) -t $(DESTDIR)$(PREFIX)/share/fantail/prometheus packaging/prometheus/fantail.rules.yml
	$(put) -t $(DESTDIR)$(PREFIX)/share/fantail/grafana packaging/grafana/fantail.json
	for f in $(LAB); do install -D -m $$([ -x $$f ] && echo 0755 || echo 0644) $$f \
		$(DESTDIR)$(PREFIX)/share/fantail/$$f || exit; done

# --- one binary that needs nothing but a kernel ---
# Debian's static libraries; ncurses looks for terminals where every distribution has them:
# ~/.terminfo, /etc/terminfo, /lib/terminfo and /usr/share/terminfo, and in $TERMINFO_DIRS.
.PHONY: static deb rpm
static: $(STATIC)
$(STATIC): $(USER_OBJS)
	$(say) LINK $@
	$(Q)mkdir -p $(DIST)
	$(Q)$(CC) $(CFLAGS) -static-pie -s $(LDFLAGS) -o $@ $^ \
		$(shell $(PKG_CONFIG) --static --libs $(PKGS)) -lm

# --- packages: made from a copy of the sources, so that no object of this tree gets into them ---
STAGE := $(O)/package
TREE := Makefile LICENSE LICENSES README.md bpf docs include packaging scripts tests user vmlinux
# the make in there must not take over this one's O, V or DESTDIR
ALONE := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u DESTDIR

# stage DIRECTORY - the sources with debian/ in its place, in $(STAGE)/DIRECTORY/fantail-VERSION
define stage
	$(Q)packaging/check-version $(VERSION)
	$(Q)rm -rf $(STAGE)/$1 && mkdir -p $(STAGE)/$1/fantail-$(VERSION) $(DIST)
	$(Q)tar -c $(TREE) | tar -x -C $(STAGE)/$1/fantail-$(VERSION)
	$(Q)cp -r packaging/debian $(STAGE)/$1/fantail-$(VERSION)/
endef
EPOCH = $(shell dpkg-parsechangelog -l packaging/debian/changelog -S Timestamp)

deb:
	$(say) DEB $(DIST)
	$(call stage,deb)
	$(Q)cd $(STAGE)/deb/fantail-$(VERSION) && $(ALONE) DEB_BUILD_OPTIONS="parallel=$$(nproc)" \
		dpkg-buildpackage -us -uc >../log 2>&1 || { tail -n 30 ../log >&2; exit 1; }
	$(Q)mv $(STAGE)/deb/fantail*_$(VERSION)* $(DIST)/

# The binary in it is the static one: see the spec. ARCH=arm64 makes one for Graviton.
rpm: $(STATIC)
	$(say) RPM $(DIST)
	$(call stage,rpm)
	$(Q)install -D $(STATIC) $(STAGE)/rpm/fantail-$(VERSION)/$(notdir $(STATIC))
	$(Q)cd $(STAGE)/rpm && $(ALONE) SOURCE_DATE_EPOCH=$(EPOCH) rpmbuild -bb --target $(MACHINE)-linux \
		--define "_topdir $$PWD" --define "_builddir $$PWD" --define "dist .amzn2023" \
		fantail-$(VERSION)/packaging/rpm/fantail.spec >log 2>&1 || { tail -n 30 log >&2; exit 1; }
	$(Q)mv $(STAGE)/rpm/RPMS/*/fantail-$(VERSION)-*.rpm $(DIST)/
