/**
 * @file data_uri.h  Audio that stands in a reply itself; private to src/dialog
 */
#ifndef CONVOD_DATA_URI_H
#define CONVOD_DATA_URI_H

#include <convod/clip.h>
#include <convod/net.h>

CV_BEGIN_DECLS

/** data: URIs are fewer and shorter than links, and not for http */
bool uri_is_data(const char *uri);

/**
 * Decode `data:[type];base64,…` off the loop
 *
 * The clip grows when that is done, and ends; with EBADMSG, ENODATA and the
 * like if the bytes are no audio. Dropping it is fine at any time.
 *
 * @param max    Characters of the URI
 * @param max_ms Longest audio; the rest is cut
 *
 * @return 0; EOVERFLOW: longer than max; EBADMSG: no base64; ENOMEM
 */
CV_NODISCARD int data_uri_decode(struct clip **cp, const struct net *net,
				 const char *uri, size_t max, uint32_t max_ms);

CV_END_DECLS

#endif
