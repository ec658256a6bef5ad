/* SPDX-License-Identifier: MIT */
/* Linked with lib.c. */
int lib_work(int x);

int main(void)
{
	return lib_work(0) != 10;
}
