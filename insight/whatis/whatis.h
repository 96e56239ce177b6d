/*
 * whatis.h - `mems whatis` for the other verbs.
 */
#pragma once

#include "walk/session.h"

/* Prints what an address is, as `mems whatis` does. */
void whatis_tell(struct session *session, uint64_t address);
