/* single_page.h - reads of files' mapped pages that few reads touch. On the first touch of a page the kernel maps up to
 * 64 KiB of the file around it, which count as the process's memory; but never beyond a mapping's end. */
#pragma once

/* Maps the page alone, unless this or one with the same number modulo 8,192 was asked for before. A page that has been
 * mapped stays as it is. Changes no memory; does nothing if the kernel refuses. Costs two system calls. */
void single_page(const void *at);
