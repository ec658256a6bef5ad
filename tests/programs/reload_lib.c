// SPDX-License-Identifier: MIT
// A library for reload.c: WORK is called COUNT times by entry().
__attribute__((noinline)) void WORK(void);
void WORK(void)
{
	__asm__ volatile("" : : : "memory");
}

void entry(void);
void entry(void)
{
	for (int i = 0; i < COUNT; i++)
		WORK();
}
