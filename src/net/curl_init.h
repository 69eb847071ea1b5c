/**
 * @file curl_init.h  libcurl's global state; private to src/net
 */
#ifndef CONVOD_CURL_INIT_H
#define CONVOD_CURL_INIT_H

#include <convod/defs.h>

/**
 * Set libcurl up with our allocator, once in the process. To be called before
 * anything of libcurl's is used. Thread: any
 *
 * @return 0 or ENOMEM (a later call tries again)
 */
CV_NODISCARD int curl_init(void);

#endif
