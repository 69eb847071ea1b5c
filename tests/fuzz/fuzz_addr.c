/* Lists of hosts, and what URLs name: "list\nhost:port". An address is in a
 * list of itself and of everything, however it is written. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <convod/addr.h>
#include <convod/str.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { TEXT_MAX = 1024 };

static void check_address(const char *ip)
{
	char text[NET_ADDR_STR_MAX];
	struct sockaddr_storage sa;
	const struct sockaddr *any = (struct sockaddr *)&sa;

	if (net_addr_parse(&sa, ip, 80))
		return;

	(void)net_addr_print(text, sizeof(text), any);
	assert(!net_hosts_find_wrong(ip) && !net_hosts_find_wrong(text));
	assert(net_hosts_has(ip, text) && net_hosts_has(text, text));
	assert(net_hosts_has_addr(ip, any) && net_hosts_has_addr(text, any));
	assert(net_hosts_has_addr("::/0", any));
	(void)net_addr_is_public(any);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char s[TEXT_MAX];
	const char *wrong;
	char *host;

	n = MIN(n, sizeof(s) - 1);
	if (n)
		memcpy(s, p, n);
	s[n] = '\0';
	host = strchr(s, '\n');
	if (host)
		*host++ = '\0';
	else
		host = s;

	wrong = net_hosts_find_wrong(s);
	assert(!wrong || (wrong >= s && wrong < s + strlen(s)));
	(void)net_hosts_has(s, host);
	check_address(s);
	check_address(host);

	return 0;
}
