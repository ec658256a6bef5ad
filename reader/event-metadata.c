/* SPDX-License-Identifier: MIT */
/* The CTF metadata of the stream class of events (<ftrace/trace-event.h>). */
#include <stdlib.h>
#include <string.h>

#include "reader/events.h"
#include "reader/message.h"
#include "reader/metadata.h"

/* Which functions events are of, a byte each; NULL: no memory, and all are listed. */
static uint8_t *find_used(struct trace_recording *recording, struct trace_process *process,
			  uint32_t end)
{
	struct trace_select all = { .to = UINT64_MAX };
	struct trace_events *events = trace_events_open(recording, process, &all);
	uint8_t *used = calloc(end, 1);
	struct trace_event event;

	while (events && used && trace_events_next(events, &event))
		if (event.site < end)
			used[event.site] = 1;
	trace_events_close(events);
	return used;
}

static void put_type(FILE *f, const struct trace_field *field)
{
	unsigned bits = field->size * 8;

	switch (field->type) {
	case TRACE_FIELD_STRING:
		fputs("string", f);
		break;
	case TRACE_FIELD_FLOAT:
		fprintf(f, "floating_point { exp_dig = %d; mant_dig = %d; align = %u; }",
			bits == 32 ? 8 : 11, bits == 32 ? 24 : 53, bits);
		break;
	default:
		fprintf(f, "integer { size = %u; align = %u; signed = %s;%s }", bits, bits,
			field->type == TRACE_FIELD_SIGNED ? "true" : "false",
			field->type == TRACE_FIELD_HEX || field->type == TRACE_FIELD_SYMBOL ?
			" base = hex;" : "");
	}
}

/* What is interrupted for ever has words that nobody knows the meaning of. */
static void put_incomplete(FILE *f, const char *group, const char *name, uint32_t id)
{
	fprintf(f, "event {\n\tname = \"%s:%s.incomplete\";\n\tid = %u;\n\tstream_id = 1;\n"
		"\tfields := struct {\n"
		"\t\tinteger { size = 8; align = 8; signed = false; base = hex; } _byte[stream.event.context.bytes];\n"
		"\t};\n};\n\n", group, name, id | FTRACE_EVENT_INCOMPLETE);
}

/* A name before which an underscore stands, which readers take away, is never a keyword of TSDL. */
static void put_class(const struct trace_event_class *class, void *data)
{
	FILE *f = data;

	fprintf(f, "event {\n\tname = \"%s:%s\";\n\tid = %u;\n\tstream_id = 1;\n\tfields := struct {\n"
		"\t\tevent_function_t ___probe_func;\n"
		"\t\tuint32_t ___probe_faults;\n"
		"\t\taddress_t %s;\n", class->group, class->name, class->id,
		class->kind == 'r' ? "___probe_ret_ip" : "___probe_ip");
	for (size_t i = 0; i < class->nfields; i++) {
		const struct trace_field *field = &class->fields[i];

		fputs("\t\t", f);
		put_type(f, field);
		fprintf(f, " _%s", field->name);
		if (field->count)
			fprintf(f, "[%u]", field->count);
		fputs(";\n", f);
	}
	fputs("\t};\n};\n\n", f);
	put_incomplete(f, class->group, class->name, class->id);
}

void trace_put_event_metadata(FILE *f, struct trace_recording *recording,
			      struct trace_process *process, const struct trace_map *map)
{
	uint32_t end = trace_map_end(map);
	uint8_t *used = find_used(recording, process, end);

	fputs("typealias integer {\n\tsize = 64; align = 64; signed = false; base = hex;\n} := address_t;\n\n"
	      "typealias enum : integer { size = 32; align = 32; signed = false; } {\n", f);
	trace_put_functions(f, map, used);
	fputs("} := event_function_t;\n\n", f);
	free(used);
	fputs("stream {\n"
	      "\tid = 1;\n"
	      "\tpacket.context := struct {\n", f);
	trace_put_packet_context(f);
	fputs("\t};\n"
	      "\tevent.header := struct {\n"
	      "\t\ttick32_t timestamp;\n"
	      "\t\tinteger { size = 16; align = 16; signed = false; } id;\n"
	      "\t} align(64);\n"
	      "\tevent.context := struct {\n"
	      "\t\tinteger { size = 16; align = 16; signed = false; } bytes;\n"
	      "\t};\n"
	      "};\n"
	      "\n", f);
	fprintf(f, "event {\n\tname = \"ftrace:stack\";\n\tid = %u;\n\tstream_id = 1;\n"
		"\tfields := struct {\n\t\tuint32_t _event;\n\t\tuint32_t _n;\n\t\taddress_t _ip[_n];\n"
		"\t};\n};\n\n", FTRACE_EVENT_STACK);
	put_incomplete(f, "ftrace", "stack", FTRACE_EVENT_STACK);
	trace_map_each_event(map, put_class, f);
}
