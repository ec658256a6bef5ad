#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: gen_patterns.py DIR SITES CALLS

Writes DIR/sites.inc (the list of SITES tiny functions for sites.c) and DIR/patterns.S: straight-line
runs of CALLS calls of them in one random order, and the floors beside them; DIR/patterns.h defines CALLS.
x86_64.
"""
import os
import random
import sys


def run(name, lines):
    return [f"\t.globl {name}", f"\t.type {name}, @function", "\t.p2align 5", f"{name}:",
            "\tsub $8, %rsp", *lines, "\tadd $8, %rsp", "\tret", f"\t.size {name}, .-{name}"]


def save(name, flags, registers, inside=()):
    """What a site calls: saves and restores, as the barest trampoline would."""
    restore = [f"\tpop %{reg}" if reg != "rsp" else "\tadd $8, %rsp" for reg in reversed(registers)]
    return ["\t.p2align 6", f"{name}:", *["\tpushf"] * flags, *[f"\tpush %{r}" for r in registers],
            *inside, *restore, *["\tpopf"] * flags, "\tret"]


NINE = ["rax", "rdi", "rsi", "rdx", "rcx", "r8", "r9", "r10", "r11"]
# rsp is pushed like the rest, and skipped on the way back.
SIXTEEN = NINE + ["rbx", "rbp", "r12", "r13", "r14", "r15", "rsp"]
# An empty callback, and the stack aligned for it.
CALL = ["\tmov %rsp, %rbp", "\tand $-16, %rsp", "\tcall empty_callback", "\tmov %rbp, %rsp"]

FIB = """
	.globl fib_clock2
	.type fib_clock2, @function
	.p2align 4
fib_clock2:
	rdtsc
	cmp $2, %rdi
	jae 1f
	mov %rdi, %rcx
	rdtsc
	mov %rcx, %rax
	ret
1:	push %rbp
	push %rbx
	sub $8, %rsp
	mov %rdi, %rbx
	lea -1(%rdi), %rdi
	call fib_clock2
	mov %rax, %rbp
	lea -2(%rbx), %rdi
	call fib_clock2
	lea (%rax, %rbp), %rcx
	rdtsc
	mov %rcx, %rax
	add $8, %rsp
	pop %rbx
	pop %rbp
	ret
	.size fib_clock2, .-fib_clock2"""


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    folder, sites, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.makedirs(folder, exist_ok=True)
    order = random.Random(1).choices(range(sites), k=calls)
    out = ["/* Made by gen_patterns.py. */", "\t.text"]
    out += run("run_plain", [f"\tcall plain_site{i}" for i in order])
    out += run("run_traced", [f"\tcall traced_site{i}" for i in order])
    out += run("run_clock2", ["\trdtsc\n\trdtsc" for i in order])
    out += run("run_clock1", [f"\trdtsc\n\tcall plain_site{i}" for i in order])
    kinds = {"save16": save("save16", 1, SIXTEEN), "save9": save("save9", 0, NINE),
             "call16": save("call16", 1, SIXTEEN, CALL),
             "call9": save("call9", 0, NINE + ["rbp"], CALL)}
    for name, code in kinds.items():
        out += run(f"run_{name}", [f"\tcall {name}_site{i}" for i in order])
        # Spaced as compiled functions are.
        for i in range(sites):
            out += ["\t.p2align 4", f"{name}_site{i}: call {name}", "\tret"]
        out += code
    out += ["\t.p2align 4", "empty_callback: ret"]
    out += FIB.splitlines()
    out += ['\t.section .note.GNU-stack,"",@progbits', ""]
    with open(os.path.join(folder, "patterns.S"), "w") as file:
        file.write("\n".join(out))
    with open(os.path.join(folder, "patterns.h"), "w") as file:
        file.write(f"#define CALLS\t{calls}\n")
    with open(os.path.join(folder, "sites.inc"), "w") as file:
        file.write("".join(f"SITE({i})\n" for i in range(sites)))


main()
