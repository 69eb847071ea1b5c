#include <stdio.h>
#include <sys/un.h>
#include <convod/addr.h>
#include "test.h"

static struct sockaddr_storage addr(const char *ip, uint16_t port)
{
	struct sockaddr_storage sa;

	if (net_addr_parse(&sa, ip, port))
		fail_msg("%s is no address", ip);

	return sa;
}

struct judged {
	const char *ip;
	bool is_public;
};

static void check(const struct judged *testv, size_t testc)
{
	for (size_t i = 0; i < testc; i++) {
		struct sockaddr_storage sa = addr(testv[i].ip, 80);

		if (net_addr_is_public((struct sockaddr *)&sa) !=
		    testv[i].is_public)
			fail_msg("%s", testv[i].ip);
	}
}

/* The first and the last of each block, and their neighbours */
static void test_public_v4(void **state)
{
	static const struct judged tests[] = {
		{"0.0.0.0", false},         {"0.255.255.255", false},
		{"1.0.0.0", true},          {"8.8.8.8", true},
		{"9.255.255.255", true},    {"10.0.0.0", false},
		{"10.255.255.255", false},  {"11.0.0.0", true},
		{"100.63.255.255", true},   {"100.64.0.0", false},
		{"100.100.100.200", false}, {"100.127.255.255", false},
		{"100.128.0.0", true},      {"126.255.255.255", true},
		{"127.0.0.1", false},       {"127.255.255.255", false},
		{"128.0.0.0", true},        {"168.63.129.15", true},
		{"168.63.129.16", false},   {"168.63.129.17", true},
		{"169.253.255.255", true},  {"169.254.0.0", false},
		{"169.254.169.254", false}, {"169.254.255.255", false},
		{"169.255.0.0", true},      {"172.15.255.255", true},
		{"172.16.0.0", false},      {"172.31.255.255", false},
		{"172.32.0.0", true},       {"191.255.255.255", true},
		{"192.0.0.192", false},     {"192.0.1.0", true},
		{"192.0.2.1", false},       {"192.0.3.0", true},
		{"192.88.98.255", true},    {"192.88.99.1", false},
		{"192.88.100.0", true},     {"192.167.255.255", true},
		{"192.168.0.0", false},     {"192.168.255.255", false},
		{"192.169.0.0", true},      {"198.17.255.255", true},
		{"198.18.0.0", false},      {"198.19.255.255", false},
		{"198.20.0.0", true},       {"198.51.100.1", false},
		{"203.0.113.1", false},     {"203.0.114.0", true},
		{"223.255.255.255", true},  {"224.0.0.1", false},
		{"239.255.255.255", false}, {"240.0.0.1", false},
		{"255.255.255.255", false},
	};

	(void)state;
	check(tests, ARRAY_SIZE(tests));
}

static void test_public_v6(void **state)
{
	static const struct judged tests[] = {
		{"::", false},
		{"::1", false},
		{"::2", false},
		{"::7f00:1", false}, /* IPv4-compatible */
		{"::8.8.8.8", false},
		{"::ffff:127.0.0.1", false}, /* IPv4-mapped */
		{"::ffff:10.1.2.3", false},
		{"::ffff:169.254.169.254", false},
		{"::ffff:0.0.0.0", false},
		{"::ffff:8.8.8.8", true},
		{"::ffff:0:127.0.0.1", false}, /* translated (SIIT) */
		{"::ffff:0:8.8.8.8", false},
		{"64:ff9b::127.0.0.1", false}, /* NAT64 */
		{"64:ff9b::10.1.2.3", false},
		{"64:ff9b::8.8.8.8", true},
		{"64:ff9b::1:808:808", false},
		{"64:ff9b:1::8.8.8.8", false}, /* a network's own NAT64 */
		{"100::1", false},             /* discarded */
		{"1fff:ffff::1", false},
		{"2000::1", true},
		{"2001::1", false},    /* Teredo */
		{"2001:10::1", false}, /* ORCHID */
		{"2001:1ff:ffff::", false},
		{"2001:200::1", true},
		{"2001:db7:ffff::", true},
		{"2001:db8::1", false}, /* documentation */
		{"2001:db9::1", true},
		{"2002:7f00:1::", false}, /* 6to4 */
		{"2002:808:808::1", false},
		{"2003::1", true},
		{"2606:4700::1111", true},
		{"2a00:1450::1", true},
		{"3ffe:ffff::1", true},
		{"3fff::1", false}, /* documentation */
		{"3fff:fff:ffff::", false},
		{"3fff:1000::1", true},
		{"4000::1", false},
		{"5f00::1", false},
		{"fc00::1", false}, /* unique-local */
		{"fd00:ec2::254", false},
		{"fdff:ffff::1", false},
		{"fe80::1", false}, /* link-local */
		{"febf::1", false},
		{"fec0::1", false}, /* site-local */
		{"ff02::1", false}, /* multicast */
		{"ffff::1", false},
	};
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	(void)state;
	check(tests, ARRAY_SIZE(tests));
	assert_false(net_addr_is_public((struct sockaddr *)&un));
	assert_false(net_addr_is_public(NULL));
}

static void test_text(void **state)
{
	static const struct {
		const char *ip;
		uint16_t port;
		const char *text; /* NULL: no address */
	} tests[] = {
		{"127.0.0.1", 80, "127.0.0.1:80"},
		{"::1", 65535, "[::1]:65535"},
		{"::ffff:1.2.3.4", 0, "[::ffff:1.2.3.4]:0"},
		{"", 80, NULL},
		{"[::1]", 80, NULL},
		{"127.1", 80, NULL},
		{"0177.0.0.1", 80, NULL},
		{"2130706433", 80, NULL},
		{"127.0.0.1 ", 80, NULL},
		{"fe80::1%lo", 80, NULL},
		{"localhost", 80, NULL},
	};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char text[NET_ADDR_STR_MAX];

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct sockaddr_storage sa;
		int err = net_addr_parse(&sa, tests[i].ip, tests[i].port);

		assert_int_equal(err, tests[i].text ? 0 : EBADMSG);
		if (err)
			continue;
		(void)net_addr_print(text, sizeof(text),
				     (struct sockaddr *)&sa);
		assert_string_equal(text, tests[i].text);
	}
	assert_string_equal(
		net_addr_print(text, sizeof(text), (struct sockaddr *)&un),
		":0");
}

static void test_lists(void **state)
{
	static const struct {
		const char *list;
		const char *wrong; /* its first wrong entry */
	} tests[] = {
		{NULL, NULL},
		{"", NULL},
		{" , ,\t", NULL},
		{"media.example.com", NULL},
		{"a.example,b-c.example:8080 d_e", NULL},
		{"10.0.0.5, 10.0.0.5:80 10.0.0.0/8 0.0.0.0/0 1.2.3.4/32",
		 NULL},
		{"::1 [::1] [::1]:80 fd00::/8 ::/0 ::1/128", NULL},
		{"3com.example", NULL},
		{"10.0.0", "10.0.0"},
		{"010.0.0.1", "010.0.0.1"},
		{"2130706433", "2130706433"},
		{"0x7f000001", "0x7f000001"},
		{"a.example 10.0.0.0/33 b", "10.0.0.0/33"},
		{"10.0.0.0/", "10.0.0.0/"},
		{"10.0.0.0/-1", "10.0.0.0/-1"},
		{"10.0.0.0/8:80", "10.0.0.0/8:80"},
		{"::/129", "::/129"},
		{"[::]/8", "[::]/8"},
		{"[::1", "[::1"},
		{"[a.example]", "[a.example]"},
		{"[127.0.0.1]", "[127.0.0.1]"},
		{"[::1]x", "[::1]x"},
		{"a.example:", "a.example:"},
		{"a.example:0", "a.example:0"},
		{"a.example:65536", "a.example:65536"},
		{"a.example:+1", "a.example:+1"},
		{":80", ":80"},
		{"*.example.com", "*.example.com"},
		{"a, https://b.example", "https://b.example"},
		{"b.example/8", "b.example/8"},
		{"café.example", "café.example"},
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const char *wrong = net_hosts_find_wrong(tests[i].list);

		if (!wrong != !tests[i].wrong)
			fail_msg("%s", tests[i].list);
		if (wrong)
			assert_memory_equal(wrong, tests[i].wrong,
					    strlen(tests[i].wrong));
	}
}

static void test_long_entries(void **state)
{
	char list[600];

	(void)state;

	memset(list, 'a', sizeof(list));
	list[sizeof(list) - 1] = '\0';
	assert_ptr_equal(net_hosts_find_wrong(list), list);
	memcpy(list, "b ", 2);
	assert_ptr_equal(net_hosts_find_wrong(list), list + 2);
	assert_true(net_hosts_has(list, "b:1"));
	assert_false(net_hosts_has(list, list + 2));
}

static void test_hosts(void **state)
{
	static const struct {
		const char *list, *host;
		bool has;
	} tests[] = {
		{NULL, "a.example:80", false},
		{"", "a.example:80", false},
		{"a.example", "a.example:80", true},
		{"b.example, a.example", "a.example:443", true},
		{"A.Example", "a.example:80", true},
		{"a.example:80", "a.example:80", true},
		{"a.example:80", "a.example:8080", false},
		{"a.example", "www.a.example:80", false},
		{"a.example", "a.example.evil.example:80", false},
		{"a.example", "xa.example:80", false},
		{"10.0.0.5", "10.0.0.5:80", true},
		{"10.0.0.5:80", "10.0.0.5:81", false},
		{"10.0.0.0/8", "10.1.2.3:81", true},
		{"10.0.0.0/8", "11.1.2.3:81", false},
		{"10.0.0.0/8", "10.a.example:81", false},
		{"10.0.0.0/8", "[::ffff:10.1.2.3]:81", true},
		{"fd00::5", "[fd00::5]:80", true},
		{"[fd00::5]:80", "[fd00::5]:80", true},
		{"[fd00::5]:80", "[fd00::5]:81", false},
		{"fd00::/9", "[fd7f::1]:80", true},
		{"fd00::/9", "[fd80::1]:80", false},
		{"::/0", "[fd80::1]:80", true},
		{"0.0.0.0/0", "[fd80::1]:80", false},
		{"10.0.0.0/33 *", "10.0.0.0:80", false},
		{"[fd00::5", "[fd00::5:80", false},
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		if (net_hosts_has(tests[i].list, tests[i].host) !=
		    tests[i].has)
			fail_msg("%s: %s", tests[i].list, tests[i].host);
}

static void test_listed_addresses(void **state)
{
	static const char list[] =
		"a.example 10.0.0.5:80 fd00::/8 10.1.0.0/16";
	static const struct {
		const char *ip;
		uint16_t port;
		bool has;
	} tests[] = {
		{"10.0.0.5", 80, true},  {"10.0.0.5", 443, false},
		{"10.1.2.3", 443, true}, {"::ffff:10.1.2.3", 1, true},
		{"10.2.2.3", 80, false}, {"fd12::1", 80, true},
		{"fe80::1", 80, false},
	};
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct sockaddr_storage sa = addr(tests[i].ip, tests[i].port);
		const struct sockaddr *p = (struct sockaddr *)&sa;

		if (net_hosts_has_addr(list, p) != tests[i].has)
			fail_msg("%s:%u", tests[i].ip, tests[i].port);
		assert_false(net_hosts_has_addr(NULL, p));
	}
	assert_false(net_hosts_has_addr("::/0", (struct sockaddr *)&un));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public_v4),
		cmocka_unit_test(test_public_v6),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_long_entries),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_listed_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
