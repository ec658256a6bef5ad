// SPDX-License-Identifier: MIT
// Calls names.cc as a library.
int lib_main(int argc, char **argv);

int main()
{
	char name[] = "names", times[] = "7", *argv[] = { name, times, nullptr };

	return lib_main(2, argv);
}
