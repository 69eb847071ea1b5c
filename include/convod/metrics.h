/**
 * @file metrics.h  Counters, gauges and latencies of the process
 *
 * Each is one line of the tables below, and a member of an enum. A thread adds
 * to a block of its own without lock or locked instruction; whoever prints
 * sums the blocks. Names follow `convod_<noun>_<unit>[_total]`.
 */
#ifndef CONVOD_METRICS_H
#define CONVOD_METRICS_H

#include <convod/defs.h>

CV_BEGIN_DECLS

/* clang-format off */
/* id, name, help. Every call, frame or message that is refused, dropped or
 * ignored has a line here. */
#define METRICS_COUNTERS(X) \
	X(CALLS, "calls_total", "calls that sent start") \
	X(CALLS_REFUSED, "calls_refused_total", "upgrades answered 503, CALLS_MAX reached") \
	X(SIGNATURES_REFUSED, "signatures_refused_total", "upgrades answered 403") \
	X(HTTP_REFUSED, "http_refused_total", "request heads or bodies that were refused") \
	X(ACCEPTS_REFUSED, "accepts_refused_total", "connections turned away for want of descriptors or memory") \
	X(FRAMES_IN, "frames_in_total", "media messages received") \
	X(FRAMES_ODD, "frames_slow_scan_total", "media messages that needed the full JSON parser") \
	X(SAMPLES_DROPPED, "samples_dropped_total", "caller samples that the ring had no room for") \
	X(MESSAGES_OUT, "messages_out_total", "messages sent to carriers") \
	X(BAD_MESSAGES, "bad_messages_total", "carrier messages that could not be parsed") \
	X(IGNORED_MESSAGES, "ignored_messages_total", "carrier messages out of place") \
	X(CLOSED_PROTOCOL, "closed_protocol_total", "calls closed because the carrier broke the rules") \
	X(CLOSED_FLOOD, "closed_flood_total", "calls closed for audio faster than real time") \
	X(CLOSED_STUCK, "closed_stuck_total", "calls closed because the carrier stopped reading") \
	X(ASR_STREAMS, "asr_streams_total", "recogniser streams opened") \
	X(ASR_BROKEN, "asr_streams_broken_total", "recogniser streams that broke") \
	X(ASR_REPLAYED, "asr_samples_replayed_total", "samples sent again after a stream broke") \
	X(ASR_LOST, "asr_samples_lost_total", "samples that could not be sent again") \
	X(ASR_FINALS, "asr_finals_total", "final results with text") \
	X(ASR_FAILED, "asr_failed_total", "recognisers given up for a call") \
	X(ASR_REJECTED, "asr_rejected_total", "utterances that the grammar does not have") \
	X(ASR_EARLY, "asr_early_total", "utterances taken for complete after a short pause") \
	X(TURNS, "turns_total", "turns sent to the dialog manager") \
	X(TURNS_FAILED, "turns_failed_total", "turns that failed or timed out") \
	X(TURNS_SILENT, "turns_silent_total", "questions whose answer had nothing to be heard") \
	X(HTTP_EXCESS, "http_excess_total", "connections closed, as their server had sent more than was asked for") \
	X(DIALOG_AGAIN, "dialog_again_total", "requests to the dialog manager that were sent again") \
	X(DIALOG_IGNORED, "dialog_ignored_total", "parts of its answers that mean nothing here") \
	X(DIALOG_CUT, "dialog_cut_total", "answers that were too long to be spoken") \
	X(AUDIO_FETCHED, "audio_fetched_total", "reply audio fetched and decoded") \
	X(AUDIO_FAILED, "audio_failed_total", "reply audio that could not be fetched or decoded") \
	X(AUDIO_REFUSED, "audio_refused_total", "reply audio from an origin that is not allowed") \
	X(TTS_REQUESTS, "tts_requests_total", "texts given to the voice") \
	X(TTS_FAILED, "tts_failed_total", "texts that the voice failed on") \
	X(TTS_CACHE_HITS, "tts_cache_hits_total", "texts whose audio was in memory") \
	X(TTS_CACHE_DISK_HITS, "tts_cache_disk_hits_total", "texts whose audio was on disk") \
	X(TTS_CACHE_MISSES, "tts_cache_misses_total", "texts that had to be spoken by a voice") \
	X(TTS_CACHE_SHARED, "tts_cache_shared_total", "texts that were just being spoken for another call") \
	X(TTS_CACHE_EVICTED, "tts_cache_evicted_total", "clips dropped from memory to make room") \
	X(TTS_CACHE_FILES_EVICTED, "tts_cache_files_evicted_total", "files of the voice cache removed to make room") \
	X(TTS_CACHE_CORRUPT, "tts_cache_corrupt_total", "files of the voice cache that were damaged, and deleted") \
	X(TTS_CACHE_UNWRITTEN, "tts_cache_unwritten_total", "clips that could not be written to the voice cache") \
	X(TTS_FALLBACKS, "tts_fallbacks_total", "texts that went to the fallback voice") \
	X(TTS_CIRCUIT_OPENED, "tts_circuit_opened_total", "times that a voice was left alone for failing again and again") \
	X(TTS_PROBES, "tts_probes_total", "attempts to see whether such a voice is back") \
	X(APOLOGIES, "apologies_total", "apologies spoken") \
	X(BARGE_INS, "barge_ins_total", "answers that the caller interrupted") \
	X(UNDERRUNS, "playout_underruns_total", "gaps in answers: still arriving, or sent too late") \
	X(HOLDS, "holds_total", "times that the bot paused because the caller spoke") \
	X(FALSE_STARTS, "false_starts_total", "of these, those without words: the bot went on") \
	X(KEYS, "keys_total", "keys pressed") \
	X(KEYS_BY_TONE, "keys_by_tone_total", "keys heard as tones in the caller's audio") \
	X(REPROMPTS, "reprompts_total", "times that a silent caller was asked again") \
	X(UNSENT, "unsent_total", "finals and keys that were not sent to the dialog manager") \
	X(UTTERANCES_DROPPED, "utterances_dropped_total", "utterances dropped, too many queued or no memory") \
	X(RECORDINGS, "recordings_total", "recordings begun") \
	X(RECORDINGS_FAILED, "recordings_failed_total", "recordings that could not be made, or broke off") \
	X(RECORDING_LOST, "recording_samples_lost_total", "samples not recorded, the disk failed or fell behind") \
	X(JOBS_REFUSED, "jobs_refused_total", "jobs refused by a full engine queue") \
	X(LOG_DROPPED, "log_lines_dropped_total", "log lines dropped by a full queue") \
	X(LOOP_SLOW, "loop_slow_turns_total", "loop turns of more than 100 ms")

#define METRICS_GAUGES(X) \
	X(CALLS_UP, "calls", "calls up now") \
	X(SOCKETS_UP, "sockets", "carrier sockets open now") \
	X(ASR_CONNECTIONS, "asr_connections", "connections to recognisers") \
	X(TTS_CACHE_BYTES, "tts_cache_bytes", "memory that the voice cache takes") \
	X(TTS_CACHE_DISK_BYTES, "tts_cache_disk_bytes", "room that its files take") \
	X(TTS_CIRCUITS_OPEN, "tts_circuits_open", "voices left alone for failing again and again")

/* Microseconds inside, seconds when printed */
#define METRICS_LATENCIES(X) \
	X(FRAME_TO_ASR, "frame_to_asr_seconds", "oldest frame of a block received to block written") \
	X(DIALOG, "dialog_seconds", "turn given to the dialog manager to the end of its reply") \
	X(AUDIO_FIRST, "audio_first_seconds", "audio requested to first sample") \
	X(TTS_FIRST, "tts_first_seconds", "text given to a voice behind HTTP to its first sample") \
	X(TTS_CACHED, "tts_cached_seconds", "text whose audio was in memory to its first frame sent") \
	X(ANSWER, "answer_seconds", "end of the caller's speech to first audible frame of the answer") \
	X(LOOP_TURN, "loop_turn_seconds", "work done in one turn of a loop")
/* clang-format on */

#define METRICS_ENUM(id, name, help) M_##id,
enum metrics_counter { METRICS_COUNTERS(METRICS_ENUM) M_COUNTERS };
enum metrics_gauge { METRICS_GAUGES(METRICS_ENUM) M_GAUGES };
enum metrics_latency { METRICS_LATENCIES(METRICS_ENUM) M_LATENCIES };
#undef METRICS_ENUM

/**
 * Give the calling thread a block of its own; without it a thread counts in
 * a shared block with atomic additions. Blocks are never freed: what a thread
 * counted stays counted.
 */
int metrics_thread_init(void);

void metrics_add(enum metrics_counter c, uint64_t n);
void metrics_gauge(enum metrics_gauge g, int64_t delta);
void metrics_latency(enum metrics_latency l, uint64_t us);

static inline void metrics_inc(enum metrics_counter c)
{
	metrics_add(c, 1);
}

/** Sum over all threads */
uint64_t metrics_counter(enum metrics_counter c);
int64_t metrics_gauge_value(enum metrics_gauge g);
uint64_t metrics_quantile_us(enum metrics_latency l, double q);

/**
 * Print all in Prometheus' text format 0.0.4
 *
 * @param textp Set to a new string; release with mem_deref()
 */
CV_NODISCARD int metrics_print(char **textp);

CV_END_DECLS

#endif
