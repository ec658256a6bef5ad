# SPDX-License-Identifier: MIT
# A thin layer over meson and ninja: everything is built in $(BUILD).
#
#	make		build; missing packages are installed first (as root or with sudo)
#	make demo	record a small program and look at it
#	make check	every test; last line "N passed, N failed"
#	make bench	measure; a table, and $(BUILD)/bench.json
#	make install	prefix=/usr/local, DESTDIR= as usual
#	make clean

BUILD ?= build
prefix ?= /usr/local
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
MESONFLAGS ?=

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@tools/install-deps.sh build
	meson setup $(BUILD) --prefix=$(prefix) $(MESONFLAGS)

demo: all
	@tools/demo $(BUILD)

check: test-deps
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tools/check $(BUILD)

bench: bench-deps
	@$(MAKE) --no-print-directory all
	@$(PYTHON) bench/bench.py --build $(BUILD)

test-deps bench-deps: %-deps:
	@if [ -n "$$(tools/install-deps.sh --list build $*)" ]; then \
		tools/install-deps.sh build $* && \
		{ [ ! -f $(BUILD)/build.ninja ] || meson setup --reconfigure $(BUILD); }; \
	fi

install: all
	meson install -C $(BUILD) --no-rebuild
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

clean:
	rm -rf $(BUILD)

.PHONY: all demo check bench test-deps bench-deps install clean
