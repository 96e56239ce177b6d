/* heap_request.h - requests from outside the process: to trim, or to set an option (base/layout.h). */
#pragma once

/* Serves a request, if there is one. Call it with no lock held. */
void heap_request_serve(void);
