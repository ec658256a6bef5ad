/* SPDX-License-Identifier: MIT */
/* A library that is patched while it comes and goes. Its constructor calls what is patched. */
int plugin_value(void);
int plugin_at_load;

__attribute__((noinline)) int plugin_value(void)
{
	return 1;
}

int plugin_call(void);
int plugin_call(void)
{
	return plugin_value();
}

__attribute__((constructor)) static void load(void)
{
	plugin_at_load = plugin_value();
}
