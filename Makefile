# SPDX-License-Identifier: MIT
# A thin layer over meson and ninja: everything is built in $(BUILD).
#
#	make		build; missing packages are installed first (as root or with sudo)
#	make demo	record a small program and look at it
#	make check	every test; last line "N passed, N failed". ARCH=x86_64, i386, s390x, s390: only that
#			one's
#	make bench	measure; a table, and $(BUILD)/bench.json
#	make install	prefix=/usr/local, DESTDIR= as usual; another prefix than before: builds what depends on it
#	make clean

BUILD ?= build
prefix ?= /usr/local
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
MESONFLAGS ?=

all: configured
	@ninja -C $(BUILD)

# The build directory has a prefix, compiled into what is built there. It stays unless another one is asked for.
configured: $(BUILD)/build.ninja
ifneq ($(origin prefix),file)
	@[ "$$($(PYTHON) tools/build-option $(BUILD) prefix)" = "$(abspath $(prefix))" ] || \
		meson configure $(BUILD) --prefix=$(abspath $(prefix))
endif

$(BUILD)/build.ninja:
	@tools/install-deps.sh build
	meson setup $(BUILD) --prefix=$(abspath $(prefix)) $(MESONFLAGS)

demo: all
	@tools/demo $(BUILD)

check: test-deps all
	@# Configured before the tests' packages were there: once more.
	@{ [ "$$(meson introspect --tests $(BUILD))" != "[]" ] && \
	   ! grep -q 'programs cannot be traced' $(BUILD)/meson-logs/meson-log.txt; } || \
		{ meson setup --wipe $(BUILD) && ninja -C $(BUILD); }
	@$(PYTHON) tools/check $(BUILD) $(if $(ARCH),--arch $(ARCH))

bench: bench-deps all
	@$(PYTHON) bench/bench.py --build $(BUILD)

test-deps bench-deps: %-deps:
	@tools/install-deps.sh build $*

install: all
	meson install -C $(BUILD) --no-rebuild
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

clean:
	rm -rf $(BUILD)

.NOTPARALLEL:
.PHONY: all configured demo check bench test-deps bench-deps install clean
