/**
 * @file healthcheck.h  `convod --healthcheck`: is a running convod well?
 */
#ifndef CONVOD_HEALTHCHECK_H
#define CONVOD_HEALTHCHECK_H

#include <convod/conf.h>

/** GET /healthz on PORT of this machine; 0 if it says 200 within 3 s */
CV_NODISCARD int healthcheck(const struct conf *conf);

#endif
