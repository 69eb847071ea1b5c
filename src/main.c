/**
 * @file main.c  Options, configuration, signals
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>
#include <convod/conf.h>
#include <convod/log.h>
#include <convod/loop.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/server.h>
#include <convod/str.h>
#include "server/healthcheck.h"

/* Threads of libuv's pool: decoding, names. Fixed before the first use. */
#define POOL_THREADS "4"

struct app {
	struct loop *loop;
	struct server *server;
	bool draining;
};

/* clang-format off */
static const char help[] =
	"Usage: convod [OPTION]\n"
	"Answer phone calls: a carrier's websocket on /convo, a recogniser, "
	"a dialog\nmanager, a voice.\n\n"
	"  --check-config    set everything up but listening, say what is "
	"wrong, and exit\n"
	"  --healthcheck     ask a running convod whether it is well, and "
	"exit\n"
	"  --print-config    print the settings as a sample .env, and exit\n"
	"  --print-markdown  print the table of settings, and exit\n"
	"  --print-man       the same in roff\n"
	"  --version         print the version, and exit\n"
	"  --help            print this, and exit\n\n"
	"Settings come from .env, .env.local and the environment:\n";
/* clang-format on */

static void done_handler(void *arg)
{
	struct app *app = arg;

	loop_stop(app->loop);
}

static void signal_handler(int signum, void *arg)
{
	struct app *app = arg;

	log_info(NULL, "signal", "signal=%d", signum);
	if (signum == SIGHUP) {
		/* settings are read once; unhandled it would end all calls */
		log_warn(NULL, "nothing is reloaded",
			 "hint=\"start another and send SIGTERM\"");
		return;
	}
	if (app->draining) {
		loop_stop(app->loop);
		return;
	}

	app->draining = true;
	server_drain(app->server, done_handler, app);
}

static int serve(struct conf *conf)
{
	static const int signumv[] = {SIGTERM, SIGINT, SIGHUP};
	struct sig *sigv[ARRAY_SIZE(signumv)] = {NULL};
	struct app app = {0};
	char errbuf[CONF_ERR_MAX];
	int err;

	err = metrics_thread_init();
	if (!err)
		err = loop_alloc(&app.loop);
	for (size_t i = 0; i < ARRAY_SIZE(sigv) && !err; i++)
		err = sig_alloc(&sigv[i], app.loop, signumv[i], signal_handler,
				&app);
	if (err) {
		log_error(NULL, "cannot start", "err=\"%s\"", strerror(err));
		goto out;
	}

	err = server_alloc(&app.server, app.loop, conf, errbuf);
	if (err) {
		log_error(NULL, "cannot start", "err=\"%s\"", LOG_STR(errbuf));
		goto out;
	}

	loop_run(app.loop);

out:
	mem_deref(app.server);
	for (size_t i = 0; i < ARRAY_SIZE(sigv); i++)
		mem_deref(sigv[i]);
	mem_deref(app.loop);

	return err;
}

static int start(struct conf *conf)
{
	int err = log_init(log_level_of(conf->log_level),
			   strcmp(conf->log_format, "json") ? LOG_TEXT
							    : LOG_JSON);

	if (!err) {
		log_set_transcripts(conf->log_transcripts);
		err = serve(conf);
	}
	log_close();

	return err;
}

static void advice_handler(const char *what, const char *hint, void *arg)
{
	(void)arg;
	fprintf(stderr, "convod: %s: %s\n", what, hint);
}

static int check(struct conf *conf)
{
	char errbuf[CONF_ERR_MAX];
	int err;

	log_set_level(LOG_LVL_ERROR);
	err = server_check(conf, errbuf);
	if (err) {
		fprintf(stderr, "convod: %s\n", errbuf);
		return err;
	}

	conf_advise(conf, advice_handler, NULL);
	puts("the settings are right");

	return 0;
}

static int with_conf(int option)
{
	char errbuf[CONF_ERR_MAX];
	struct conf *conf = NULL;
	int err = conf_load(&conf, ".", NULL, NULL, errbuf);

	if (err) {
		fprintf(stderr, "convod: %s\n", errbuf);
		return EXIT_FAILURE;
	}

	if (option == 'c')
		err = check(conf);
	else if (option == 'H')
		err = healthcheck(conf);
	else
		err = start(conf);
	mem_deref(conf);

	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Whoever closed one of them would find the log in a carrier's socket, which
 * got its number */
static int keep_standard_descriptors(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", O_RDWR) != fd)
			return EBADF;
	}

	return 0;
}

int main(int argc, char *argv[])
{
	static const struct option optionv[] = {
		{"check-config", no_argument, NULL, 'c'},
		{"healthcheck", no_argument, NULL, 'H'},
		{"print-config", no_argument, NULL, 'p'},
		{"print-markdown", no_argument, NULL, 'm'},
		{"print-man", no_argument, NULL, 'M'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option = getopt_long(argc, argv, "", optionv, NULL);

	if (keep_standard_descriptors())
		return EXIT_FAILURE;
	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	/* a peer that is gone, a file that may not grow: an error says so */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 0);

	if (option == '?' || optind < argc) {
		fputs("convod: see convod --help\n", stderr);
		return 2;
	}

	switch (option) {
	case 'p':
		conf_print_sample(stdout);
		return EXIT_SUCCESS;
	case 'm':
		conf_print_markdown(stdout);
		return EXIT_SUCCESS;
	case 'M':
		conf_print_man(stdout);
		return EXIT_SUCCESS;
	case 'v':
		puts("convod " CONVOD_VERSION);
		return EXIT_SUCCESS;
	case 'h':
		fputs(help, stdout);
		conf_print_help(stdout);
		return EXIT_SUCCESS;
	default:
		return with_conf(option);
	}
}
