#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: install-deps.sh [--list] [build|test|bench]...
#
# Installs what is missing for the named purposes (default: build). As root, or where sudo asks no
# password, with apt-get, saying what it does; otherwise prints the command to run and exits 1.
# --list only names what is missing.

# Packages, and what needs them.
build="gcc libc6-dev meson ninja-build pkg-config python3
	libiberty-dev		# demangling of C++ and Rust names
	libzydis-dev		# decoding of x86 instructions (programs that were never recompiled)
	libdw-dev		# unwinding threads of processes that are attached to"
test="g++ libcmocka-dev python3-pytest
	babeltrace2		# reads our recordings: the judge of the format
	clang lld		# the second compiler and linker of the test matrix
	libclang-rt-14-dev	# ... and its sanitizers
	libunwind-14-dev libc++-14-dev libc++abi-14-dev	# exceptions by LLVM's unwinder, strings
	gdb valgrind
	man-db			# checks the man pages
	dpkg-dev xz-utils make autoconf automake libtool tcl	# real programs, from Debian's sources
	libpython3.11-testsuite perl sqlite3 git openssl redis-server	# ... and as Debian ships them
	libjemalloc2 libtcmalloc-minimal4	# malloc() that is somebody else's
	musl-tools		# programs that the agent leaves alone"
# i386 programs beside x86_64's: not by gcc-multilib, which no cross compiler can stand beside.
if [ "$(uname -m)" = x86_64 ]; then
	test="$test
	gcc-12-multilib g++-12-multilib
	gcc-s390x-linux-gnu g++-s390x-linux-gnu gcc-multilib-s390x-linux-gnu g++-multilib-s390x-linux-gnu
	libc6-dev-s390x-cross libc6-dev-s390-s390x-cross	# s390x and s390 ...
	qemu-user qemu-system-misc	# ... run in emulators"
fi
bench="g++ clang libclang-rt-14-dev	# XRay
	uftrace
	dpkg-dev xz-utils make tcl	# Lua and SQLite, from Debian's sources"

set -u

list=no want=""
if [ "${1-}" = --list ]; then
	list=yes
	shift
fi
[ $# -gt 0 ] || set -- build
for purpose; do
	case $purpose in
	build) want="$want
$build" ;;
	test) want="$want
$test" ;;
	bench) want="$want
$bench" ;;
	*) echo "install-deps.sh: $purpose: no such purpose; use build, test or bench" >&2; exit 2 ;;
	esac
done
want=$(printf '%s\n' "$want" | sed 's/#.*//' | tr -s ' \t' '\n\n' | sort -u)

if ! command -v dpkg-query >/dev/null 2>&1; then
	# Not a Debian: the build itself will name what it misses.
	for tool in cc meson ninja pkg-config python3; do
		command -v $tool >/dev/null 2>&1 && continue
		echo "install-deps.sh: $tool: not found, and this is no Debian; install what these" \
		     "packages of Debian 12 hold:" $want >&2
		exit 1
	done
	exit 0
fi

missing=""
for package in $want; do
	status=$(dpkg-query -W -f '${db:Status-Status} ' "$package" 2>/dev/null)
	case " $status" in
	*" installed "*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0
if [ $list = yes ]; then
	echo $missing
	exit 0
fi

if [ "$(id -u)" = 0 ]; then
	as_root=""
elif sudo -n true 2>/dev/null; then
	as_root="sudo"
else
	echo "libftrace: missing packages; run this, then make again:" >&2
	echo "	sudo apt-get install -y$missing" >&2
	exit 1
fi

export DEBIAN_FRONTEND=noninteractive
# Another apt-get may be at work (a new machine updates itself): it is waited for.
install="$as_root apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends$missing"
echo "libftrace: installing missing packages:$missing"
if ! $install >/dev/null 2>&1; then
	# An image that never asked for the package lists.
	echo "libftrace: apt-get update"
	$as_root apt-get -o DPkg::Lock::Timeout=300 update -q >/dev/null
	$install || { echo "libftrace: packages: apt-get failed; run: $install" >&2; exit 1; }
fi
