/* SPDX-License-Identifier: MIT */
/*
 * Beginnings of functions, rare ones too. ok_...: to be moved; no_...: to be refused, test_planner.py
 * has the reasons. Never executed but by run-copies.
 */

	.macro begin name
	.p2align 4, 0xf4		/* hlt: nothing a jump may stand over */
	.globl \name
	.type \name, @function
\name:
	.cfi_startproc
	.endm
	.macro done name
	.cfi_endproc
	.size \name, . - \name
	.endm

	.text
	/* ---- branches ---- */
	begin ok_jmp_short
	jmp 1f
	.skip 20, 0x90
1:	ret
	done ok_jmp_short

	begin ok_jcc_short
	cmp %rsi, %rdi
	ja 1f
	mov $1, %eax
1:	ret
	done ok_jcc_short

	begin ok_jcc_near
	test %edi, %edi
	jne target
	ret
	done ok_jcc_near

	begin ok_two_branches
	jrcxz 1f
	jmp 2f
	nop
1:	ret
2:	ret
	done ok_two_branches

	.irp insn, loop, loope, loopne, jrcxz, jecxz
	begin ok_\insn
	test %edi, %edi
	\insn 1f
	mov $1, %eax
	ret
1:	ret
	done ok_\insn
	.endr

	begin ok_tail
	jmp target
	done ok_tail

	begin ok_tail_memory
	jmp *16(%rdi)
	done ok_tail_memory
	.p2align 4

	begin ok_tail_slot
	jmp *slot(%rip)
	done ok_tail_slot

	begin ok_tail_loaded
	mov (%rdi), %rax
	jmp *%rax
	done ok_tail_loaded

	/* ---- calls ---- */
	begin ok_call
	call target
	ret
	done ok_call

	begin ok_call_later
	sub $8, %rsp
	call target
	add $8, %rsp
	ret
	done ok_call_later

	begin ok_call_register
	mov %rdi, %rax
	call *%rax
	ret
	done ok_call_register

	begin ok_call_r11
	push %rbx
	nop
	call *%r11
	pop %rbx
	ret
	done ok_call_r11

	begin ok_call_memory
	call *0x123(%rdi,%rsi,8)
	ret
	done ok_call_memory

	begin ok_call_slot
	call *slot(%rip)
	ret
	done ok_call_slot

	begin ok_call_fs
	call *%fs:0x10
	ret
	done ok_call_fs

	begin ok_call_stack
	push %r12
	call *(%rsp)
	pop %r12
	ret
	done ok_call_stack

	begin ok_call_stack_far
	push %rdi
	call *0x7c(%rsp)
	pop %rdi
	ret
	done ok_call_stack_far

	begin ok_call_stack_index
	push %rdi
	call *0x18(%rsp,%rsi,2)
	pop %rdi
	ret
	done ok_call_stack_index

	begin ok_call_stack_wide
	call *0x200(%rsp)
	ret
	done ok_call_stack_wide

	begin ok_call_r12
	call *0x8(%r12)
	ret
	done ok_call_r12

	begin ok_call_r13_negative
	call *-0x80(%r13,%r12)
	ret
	done ok_call_r13_negative

	begin ok_tls
	.byte 0x66
	leaq variable@tlsgd(%rip), %rdi
	.byte 0x66, 0x66, 0x48
	call __tls_get_addr@plt
	ret
	done ok_tls

	begin ok_tls_call_first
	.byte 0x66, 0x66, 0x48
	call target@plt
	ret
	done ok_tls_call_first

	/* ---- relative to themselves ---- */
	begin ok_lea
	lea datum(%rip), %rax
	ret
	done ok_lea

	begin ok_store_immediate
	movl $0x12345678, datum(%rip)
	ret
	done ok_store_immediate

	begin ok_compare_byte
	cmpb $7, datum+3(%rip)
	sete %al
	ret
	done ok_compare_byte

	begin ok_add_vector
	movdqu datum(%rip), %xmm0
	paddd datum(%rip), %xmm0
	ret
	done ok_add_vector

	begin ok_shuffle
	pshufd $0x1b, datum(%rip), %xmm1
	ret
	done ok_shuffle

	begin ok_vex
	vmovdqu datum(%rip), %ymm2
	vzeroupper
	ret
	done ok_vex

	begin ok_evex			/* an opcode that means nothing without that prefix */
	vcvttpd2qq datum(%rip), %xmm1
	vcvtqq2pd %xmm1, %xmm2
	ret
	done ok_evex

	begin ok_insertq		/* of two immediates, by a prefix that is not the first */
	.byte 0x36
	insertq $3, $7, %xmm2, %xmm1
	ret
	done ok_insertq

	begin ok_imul
	imul $1000, datum(%rip), %eax
	ret
	done ok_imul

	begin ok_test_word
	testw $0x1234, datum(%rip)
	sete %al
	ret
	done ok_test_word

	/* ---- the rest ---- */
	begin ok_endbr
	endbr64
	push %rbp
	mov %rsp, %rbp
	pop %rbp
	ret
	done ok_endbr

	begin ok_pushes
	push %rbx
	push %rbp
	push %rsp
	pop %rax
	pop %rbp
	pop %rbx
	ret
	done ok_pushes

	begin ok_ret
	ret
	done ok_ret
	.p2align 4

	begin ok_rep_ret
	rep ret
	done ok_rep_ret
	.p2align 4

	begin ok_longest
	nop
	nop
	nop
	nop
	.byte 0x66, 0x66, 0x66		/* 15 bytes */
	movabs $0x1122334455667788, %r10
	.byte 0x90
	ret
	done ok_longest

	begin ok_rep_movs
	rep movsb
	rep stosq
	ret
	done ok_rep_movs

	begin ok_enter
	enter $16, $0
	leave
	ret
	done ok_enter

	begin ok_xchg
	xchg %rsp, %rax
	xchg %rsp, %rax
	ret
	done ok_xchg

	begin ok_fld
	fldt 8(%rsp)
	fstp %st(0)
	fldz
	ret
	done ok_fld

	begin ok_pushf
	test %eax, %eax
	pushf
	pop %rax
	nop
	ret
	done ok_pushf

	begin ok_switch			/* a table, and nothing in it leads into the beginning */
	cmp $3, %edi
	ja 9f
	lea table_ok(%rip), %rax
	movslq (%rax,%rdi,4), %rdx
	add %rax, %rdx
	jmp *%rdx
.Lcase_1:	mov $1, %eax
	ret
9:	xor %eax, %eax
	ret
	done ok_switch

	/* ---- with a short jump to padding before them ---- */
	.macro pad
	.p2align 4
	nopw 0x0(%rax,%rax,1)
	nopl 0x0(%rax)
	.byte 0x90, 0x90, 0x90
	.p2align 4
	.endm

	pad
	begin ok_before_loop
	xor %eax, %eax
1:	inc %eax
	dec %edi
	jnz 1b
	ret
	done ok_before_loop

	pad
	begin ok_before_short_call
	call *%rax
	mov $1, %eax
	ret
	done ok_before_short_call

	pad
	begin ok_before_memcpy
	mov %rdi, %rax
.Lmemcpy:
	mov $1, %ecx
	ret
	done ok_before_memcpy

	begin ok_mempcpy
	mov %rdi, %rax
	add %rdx, %rax
	jmp .Lmemcpy
	done ok_mempcpy

	pad
	begin ok_before_short
	xor %eax, %eax
	ret
	.globl ok_behind_short
	.type ok_behind_short, @function
ok_behind_short:
	mov $1, %eax
	ret
	done ok_before_short

	.byte 0xcc, 0xcc, 0xcc, 0xcc, 0xcc
	.p2align 4, 0xcc
	begin ok_before_traps
	xor %eax, %eax
1:	inc %eax
	dec %edi
	jnz 1b
	ret
	done ok_before_traps

	.p2align 4
	.skip 9, 0x90
	nopl (%rax)			/* four bytes of padding in front of it are too few, and nops one by one */
	nopl 0(%rax)
	begin no_before_small
	xor %eax, %eax
1:	inc %eax
	dec %edi
	jnz 1b
	ret
	done no_before_small

	.p2align 4
	.skip 10, 0x90
.Lpadding:
	.byte 0x66, 0x0f, 0x1f, 0x44, 0, 0
	begin no_before_target		/* something jumps into that padding */
	xor %eax, %eax
1:	inc %eax
	dec %edi
	jnz 1b
	jmp .Lpadding
	done no_before_target

	/* ---- refused ---- */
	begin no_loop			/* something branches into its first instructions */
	xor %eax, %eax
1:	inc %eax
	dec %edi
	jnz 1b
	ret
	done no_loop

	begin no_self
	inc %eax
	dec %edi
	jnz no_self
	ret
	done no_self

	begin no_target_of_other
	mov %rdi, %rax
.Linside_other:
	mov $1, %ecx
	ret
	done no_target_of_other

	begin ok_other
	mov %rsi, %rax
	inc %ecx
	jmp .Linside_other
	done ok_other

	begin no_switch			/* a case of its table is its second instruction */
	xor %ecx, %ecx
.Lcase_back:
	movzbl (%rdi), %eax
	inc %rdi
	lea table_no(%rip), %rdx
	movslq (%rdx,%rax,4), %rax
	add %rdx, %rax
	jmp *%rax
.Lcase_end:
	ret
	done no_switch

	begin no_label_in_data		/* goto *label, the label's address in data */
	xor %ecx, %ecx
.Ldata_label:
	inc %ecx
	mov $5, %eax
	jmp *(%rsi,%rcx,8)
	done no_label_in_data

	begin no_label_taken
	xor %ecx, %ecx
.Ltaken_label:
	inc %ecx
	lea .Ltaken_label(%rip), %rax
	cmp %rax, %rdi
	ret
	done no_label_taken

	begin no_differences		/* goto *(&&base + table[i]) */
	xor %ecx, %ecx
.Ldifference_a:
	inc %ecx
	lea differences(%rip), %rdx
	lea .Ldifference_base(%rip), %rax
	movslq (%rdx,%rdi,4), %rdx
	add %rdx, %rax
	jmp *%rax
.Ldifference_base:
	ret
	done no_differences

	begin no_computed		/* nobody can tell where that goes */
	xor %ecx, %ecx
	add %rdi, %rsi
	lea (%rsi,%rcx,4), %rax
	jmp *%rax
	done no_computed

	begin ok_computed_in_frame	/* nor there, but it is inside of the frame */
	push %rbp
	.cfi_adjust_cfa_offset 8
	push %rbx
	.cfi_adjust_cfa_offset 8
	push %r12
	.cfi_adjust_cfa_offset 8
	push %r13
	.cfi_adjust_cfa_offset 8
	sub $8, %rsp
	.cfi_adjust_cfa_offset 8
	lea (%rsi,%rcx,4), %rax
	jmp *%rax
	done ok_computed_in_frame

	begin no_short_call
	call *%rax
	mov $1, %eax
	ret
	done no_short_call

	begin no_red_zone_call
	call *-0x180(%rsp)
	nop
	nop
	ret
	done no_red_zone_call

	begin no_call_rsp
	mov %rdi, %rax
	call *%rsp
	ret
	done no_call_rsp

	begin no_flags
	adc $0, %eax
	mov $1, %edx
	ret
	done no_flags

	begin no_flags_later
	mov %rdi, %rax
	lea 1(%rax), %rax
	jc 1f
	ret
1:	ret
	done no_flags_later

	begin no_syscall
	syscall
	mov $1, %eax
	ret
	done no_syscall

	begin no_trap
	ud2
	mov $1, %eax
	ret
	done no_trap

	begin no_undecodable
	mov $1, %eax
	ret
	.byte 0x06, 0x06
	done no_undecodable

	begin no_short
	ret
	done no_short
	.globl ok_behind		/* without alignment: its bytes are no padding */
	.type ok_behind, @function
ok_behind:
	.cfi_startproc
	mov $1, %eax
	ret
	.cfi_endproc
	.size ok_behind, . - ok_behind

	begin no_symbol_inside
	mov %rdi, %rax
	.globl a_symbol_inside
a_symbol_inside:
	mov $1, %ecx
	ret
	done no_symbol_inside

	begin no_frame			/* a part of another function, by its unwind row */
	.cfi_def_cfa_offset 32
	mov $1, %eax
	jmp target
	done no_frame

	begin no_return_address
	.cfi_undefined rip
	mov $1, %eax
	jmp target
	done no_return_address

	begin no_restorer
	mov $15, %rax
	syscall
	done no_restorer

	.p2align 4, 0xf4
	.type no_unwind, @function
no_unwind:
	mov $1, %eax
	ret
	.size no_unwind, . - no_unwind

	.p2align 4, 0xf4
	.globl ok_without_unwind	/* global and not jumped to: it is called */
	.type ok_without_unwind, @function
ok_without_unwind:
	mov $1, %eax
	ret
	.size ok_without_unwind, . - ok_without_unwind

	.p2align 4, 0xf4
	.globl no_unwind_jumped
	.type no_unwind_jumped, @function
no_unwind_jumped:
	mov $1, %eax
	ret
	.size no_unwind_jumped, . - no_unwind_jumped

	begin ok_jumps_there
	mov $2, %eax
	jmp no_unwind_jumped
	done ok_jumps_there

	begin _Unwind_of_ours
	mov $1, %eax
	ret
	done _Unwind_of_ours

	begin __x86_indirect_thunk_rax
	call 1f
	int3
1:	mov %rax, (%rsp)
	ret
	done __x86_indirect_thunk_rax

	begin target
	mov $1, %eax
	ret
	done target

	.section .rodata
	.p2align 2
table_ok:
	.long .Lcase_1 - table_ok, .Lcase_1 - table_ok, .Lcase_1 - table_ok
table_no:
	.long .Lcase_end - table_no, .Lcase_back - table_no
differences:
	.long 0, .Ldifference_a - .Ldifference_base

	.section .data.rel.ro, "aw"
	.p2align 3
	.quad .Ldata_label

	.data
	.p2align 4
datum:	.quad 0x1122334455667788, 0x99aabbccddeeff00, 3, 4, 5, 6, 7, 8
slot:	.quad 0x123456789
	.section .tbss, "awT", @nobits
variable: .skip 8
	.section .note.GNU-stack, "", @progbits
