/*
 * device.h - a program without an operating system: its work (work.c), and how it ends.
 */
#pragma once

/* Uses the heap in every way, and ends with a double free, which the fault handler turns into status 0. */
int device_work(void);

/* Ends the program with this status. */
_Noreturn void device_leave(int status);
