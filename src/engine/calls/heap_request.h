/* heap_request.h - requests from other processes: to trim, or to set an option (base/layout.h). */
#pragma once

/* With no lock held. */
void heap_request_serve(void);
