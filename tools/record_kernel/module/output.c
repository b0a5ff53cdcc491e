// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records go through a buffer to a port of QEMU's isa-debugcon device.  No page is allocated on the
 * way, and nothing sleeps: the recorder must not disturb what it records.
 */
#include "record.h"

#define DEBUGCON_PORT	0x4f0
#define BUFFER_SIZE	(256 * 1024)
#define LONGEST_PIECE	8192

static char *buffer;
static size_t used;

int out_init(void)
{
	buffer = kvmalloc(BUFFER_SIZE, GFP_KERNEL);
	return buffer ? 0 : -ENOMEM;
}

void out_exit(void)
{
	kvfree(buffer);
}

void out_flush(void)
{
	const char *from = buffer;
	size_t size = used;

	asm volatile("rep outsb" : "+S"(from), "+c"(size) : "d"((u16)DEBUGCON_PORT) : "memory");
	used = 0;
}

static void make_room(void)
{
	if (used > BUFFER_SIZE - LONGEST_PIECE)
		out_flush();
}

void out(const char *format, ...)
{
	va_list arguments;

	make_room();
	va_start(arguments, format);
	used += vscnprintf(buffer + used, BUFFER_SIZE - used, format, arguments);
	va_end(arguments);
}

void out_raw(const char *bytes, size_t size)
{
	make_room();
	memcpy(buffer + used, bytes, size);
	used += size;
}

void out_string(const char *text)
{
	out("\"");
	for (; text && *text; text++) {
		if (*text == '"' || *text == '\\')
			out("\\%c", *text);
		else
			out("%c", (unsigned char)*text < ' ' ? ' ' : *text);
	}
	out("\"");
}

void out_comma(bool *first)
{
	if (!*first)
		out(",");
	*first = false;
}

void out_number(bool *first, unsigned long number)
{
	out_comma(first);
	out("%lu", number);
}

void out_note(const char *text)
{
	out("{\"k\":\"note\",\"text\":\"%s\"}\n", text);
}
