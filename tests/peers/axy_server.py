#!/usr/bin/python3
"""Axy, played by grpcio: sdifi.speech.v1alpha.SpeechService on a free port.

Speaks the real protocol through gRPC's own server, so that convod's client is
tested against an implementation by others. Messages are built at run time
from the field table: Debian has no protoc plugin for grpcio.

What it hears
  tones (default)  A word is a tone of 60 ms or more: 400 Hz + 100 Hz * n is the
                   n-th of WORDS, 15 words at most. 400 ms of silence end an
                   utterance; its words come as a final, with offsets since the
                   start of the stream. What it says thus depends on nothing
                   but the audio: words that are lost or come twice show.
  --script FILE    Recorded speech: the n-th utterance of the process (energy;
                   ended by 700 ms of silence) is heard as the n-th line.
  --say "a|b"      The same with the lines given.

Flags
  --port N         Listen there; 0 (default): a free port
  --no-words       Results without word offsets
  --no-interim     Only finals
  --delay MS       Wait before each final
  --loud N         Mean absolute sample from which on it hears (800)
  --silence MS     What ends an utterance, if not what is said above
  --later          Listen when a line comes on standard input: to start takes
                   longer than a caller's words are kept
  --tls CERT KEY   Serve TLS
  --max-streams N  SETTINGS_MAX_CONCURRENT_STREAMS
  --fault NAME[:MS] Misbehave in every stream, after MS of audio (default 0):
      refuse     UNAVAILABLE             invalid   INVALID_ARGUMENT
      exhausted  RESOURCE_EXHAUSTED      range     OUT_OF_RANGE
      error      an error inside a response (code 13), then nothing
      die        the process exits at once, without a word to anybody
      hang       reads and never answers again
      deaf       does not even read
      eof        ends with OK while audio still comes (early trailers)
      goaway     graceful stop: GOAWAY twice, streams have 5 s, then exit
      empty      a response of zero bytes, then goes on as usual
      garbage    a response that is no message
  --once           The fault happens in the first stream only
A conversation id "fault=NAME:MS" asks for a fault in its own stream.

Prints one JSON object a line:
  {"event": "listening", "port": 12345}
  {"event": "stream", "conversation": …, "language": …, "rate": …}
  {"event": "final", "conversation": …, "text": …, "words": [[w, start, end]…]}
  {"event": "end", "conversation": …, "samples": …, "messages": …,
   "min": …, "max": …, "empty": …}     sizes in samples; how the stream was fed
Ends with its standard input, so that it never outlives a test.
"""

import argparse
import array
import json
import os
import sys
import threading
import time
from concurrent import futures

import grpc
from google.protobuf import (descriptor_pb2, descriptor_pool, duration_pb2,
                             message_factory)

WORDS = ("one two three four five six seven eight nine ten eleven twelve "
         "thirteen fourteen fifteen").split()
PACKAGE = "sdifi.speech.v1alpha"
SERVICE = PACKAGE + ".SpeechService"
FRAME_MS = 10
F = descriptor_pb2.FieldDescriptorProto


def make_messages():
    """Messages of the field table."""
    types = {"int32": F.TYPE_INT32, "bool": F.TYPE_BOOL, "float": F.TYPE_FLOAT,
             "string": F.TYPE_STRING, "bytes": F.TYPE_BYTES}
    table = {
        "Status": [("code", 1, "int32"), ("message", 2, "string")],
        "RecognitionConfig": [
            ("encoding", 1, "int32"), ("sample_rate_hertz", 2, "int32"),
            ("language_code", 3, "string"), ("max_alternatives", 4, "int32"),
            ("enable_word_time_offsets", 8, "bool"),
            ("enable_automatic_punctuation", 11, "bool")],
        "StreamingRecognitionConfig": [
            ("config", 1, "RecognitionConfig"), ("single_utterance", 2, "bool"),
            ("interim_results", 3, "bool"), ("conversation", 4, "string")],
        "StreamingRecognizeRequest": [
            ("streaming_config", 1, "StreamingRecognitionConfig"),
            ("audio_content", 2, "bytes")],
        "WordInfo": [("start_time", 1, "Duration"), ("end_time", 2, "Duration"),
                     ("word", 3, "string"), ("confidence", 4, "float")],
        "SpeechRecognitionAlternative": [
            ("transcript", 1, "string"), ("confidence", 2, "float"),
            ("words", 3, "*WordInfo")],
        "StreamingRecognitionResult": [
            ("alternatives", 1, "*SpeechRecognitionAlternative"),
            ("is_final", 2, "bool")],
        "StreamingRecognizeResponse": [
            ("error", 1, "Status"),
            ("results", 2, "*StreamingRecognitionResult"),
            ("speech_event_type", 4, "int32")],
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="speech.proto", package=PACKAGE, syntax="proto3",
        dependency=["google/protobuf/duration.proto"])
    for name, fields in table.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            f = message.field.add(name=field, number=number,
                                  label=F.LABEL_OPTIONAL)
            if kind.startswith("*"):
                f.label = F.LABEL_REPEATED
                kind = kind[1:]
            if kind in types:
                f.type = types[kind]
                continue
            f.type = F.TYPE_MESSAGE
            f.type_name = (".google.protobuf.Duration" if kind == "Duration"
                           else ".%s.%s" % (PACKAGE, kind))
        if name == "StreamingRecognizeRequest":
            message.oneof_decl.add(name="streaming_request")
            for f in message.field:
                f.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(duration_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(
        pool.FindMessageTypeByName("%s.%s" % (PACKAGE, name)))
        for name in table}


M = make_messages()
print_lock = threading.Lock()


def report(**event):
    with print_lock:
        print(json.dumps(event), flush=True)


class Ear:
    """Finds utterances, and in tone mode the words in them."""

    def __init__(self, rate, silence_ms, loud):
        self.rate = rate
        self.least = loud
        self.frame = rate * FRAME_MS // 1000
        self.silence = silence_ms // FRAME_MS
        self.rest = array.array("h")
        self.now = 0         # frames heard
        self.quiet = 0       # frames of silence since the last loud one
        self.first = None    # frame where the utterance began
        self.last = 0
        self.word = None     # [first frame, zero crossings, sign, first, last]
        self.words = []      # [n, start ms, end ms]

    def end_word(self):
        start, crossings, _, first, last = self.word
        self.word = None
        if (self.now - start) * FRAME_MS < 50 or crossings < 3:
            return
        hz = (crossings - 1) * self.rate / (2 * (last - first))
        n = round((hz - 400) / 100)
        self.words.append((min(max(n, 0), len(WORDS) - 1), start * FRAME_MS,
                           self.now * FRAME_MS))

    def count(self, frame):
        word = self.word
        for i, sample in enumerate(frame):
            # a filter's ringing at the edges is no crossing
            if abs(sample) < self.least or (sample < 0) == word[2]:
                continue
            word[2] = not word[2]
            word[1] += 1
            word[4] = self.now * self.frame + i
            word[3] = word[3] or word[4]

    def hear(self, pcm):
        """Yields (words, start ms, end ms) of each utterance that ends."""
        samples = array.array("h")
        samples.frombytes(pcm)
        self.rest.extend(samples)
        while len(self.rest) >= self.frame:
            frame, self.rest = (self.rest[:self.frame],
                                self.rest[self.frame:])
            loud = sum(map(abs, frame)) / self.frame > self.least
            if loud:
                if self.first is None:
                    self.first = self.now
                if self.word is None:
                    self.word = [self.now, 0, frame[0] < 0, 0, 0]
                self.count(frame)
                self.quiet = 0
            else:
                if self.word is not None:
                    self.last = self.now
                    self.end_word()
                self.quiet += 1
            self.now += 1
            if self.first is not None and self.quiet >= self.silence:
                yield self.flush()

    def flush(self):
        if self.word is not None:
            self.last = self.now
            self.end_word()
        found = (self.words, (self.first or 0) * FRAME_MS,
                 self.last * FRAME_MS)
        self.words, self.first = [], None
        return found


class Axy:
    def __init__(self, args):
        self.args = args
        self.lines = None
        if args.script:
            with open(args.script, encoding="utf-8") as f:
                self.lines = [line.strip() for line in f if line.strip()]
        if args.say:
            self.lines = args.say.split("|")
        self.lock = threading.Lock()
        self.heard = 0
        self.faults = 0
        self.server = None

    def transcript(self, utterance):
        """Text and [word, start, end] of what an ear found."""
        words, start, end = utterance
        if self.lines is None:
            return [(WORDS[n], a, b) for n, a, b in words]
        with self.lock:
            line = (self.lines[self.heard] if self.heard < len(self.lines)
                    else "")
            self.heard += 1
        parts = line.split()
        step = (end - start) / max(len(parts), 1)
        return [(w, int(start + i * step), int(start + (i + 1) * step))
                for i, w in enumerate(parts)]

    def response(self, words, final):
        message = M["StreamingRecognizeResponse"]()
        result = message.results.add(is_final=final)
        alternative = result.alternatives.add(
            transcript=" ".join(w for w, _, _ in words))
        if final and not self.args.no_words:
            for word, start, end in words:
                w = alternative.words.add(word=word)
                w.start_time.seconds, ms = divmod(start, 1000)
                w.start_time.nanos = ms * 1000000
                w.end_time.seconds, ms = divmod(end, 1000)
                w.end_time.nanos = ms * 1000000
        return message.SerializeToString()

    def fault_of(self, conversation):
        spec = (conversation[6:] if conversation.startswith("fault=")
                else self.args.fault)
        if not spec or (self.args.once and self.faults):
            return None, 0
        self.faults += 1
        name, _, ms = spec.partition(":")
        return name, int(ms or 0)

    def misbehave(self, fault, context):
        """Yields responses; returns True if the stream is over."""
        codes = {"refuse": grpc.StatusCode.UNAVAILABLE,
                 "invalid": grpc.StatusCode.INVALID_ARGUMENT,
                 "exhausted": grpc.StatusCode.RESOURCE_EXHAUSTED,
                 "range": grpc.StatusCode.OUT_OF_RANGE}
        if fault in codes:
            context.abort(codes[fault], "asked for: %s, 100 %% á" % fault)
        if fault == "die":
            os._exit(1)
        if fault in ("hang", "deaf"):
            while context.is_active():
                time.sleep(0.02)
            return True
        if fault == "eof":
            return True
        if fault == "goaway":
            threading.Thread(target=self.drain, daemon=True).start()
        if fault == "empty":
            yield b""
        if fault == "garbage":
            yield b"\x12\xff"
        if fault == "error":
            message = M["StreamingRecognizeResponse"]()
            message.error.code = 13
            message.error.message = "decoder broke"
            yield message.SerializeToString()
            return True
        return False

    def drain(self):
        self.server.stop(5).wait()
        os._exit(0)

    def recognize(self, requests, context):
        stats = {"samples": 0, "messages": 0, "min": 0, "max": 0, "empty": 0}
        conversation = ""
        try:
            first = M["StreamingRecognizeRequest"].FromString(next(requests))
            config = first.streaming_config
            conversation = config.conversation
            if not first.HasField("streaming_config"):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT,
                              "Invalid request. See details")
            if not conversation:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT,
                              "conversation id missing from streaming_config")
            rate = config.config.sample_rate_hertz
            report(event="stream", conversation=conversation, rate=rate,
                   language=config.config.language_code or "is-IS",
                   encoding=config.config.encoding,
                   interim=config.interim_results,
                   words=config.config.enable_word_time_offsets)
            if rate < 8000 or config.config.encoding != 1:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT,
                              "Invalid request. See details")
            yield from self.listen(requests, context, config, rate, stats)
        finally:
            report(event="end", conversation=conversation, **stats)

    def listen(self, requests, context, config, rate, stats):
        fault, fault_ms = self.fault_of(config.conversation)
        silence = self.args.silence or (
            700 if self.lines is not None else 400)
        ear = Ear(rate, silence, self.args.loud)
        interim = None
        for data in requests:
            if fault and stats["samples"] * 1000 >= fault_ms * rate:
                if (yield from self.misbehave(fault, context)):
                    return
                fault = None
            request = M["StreamingRecognizeRequest"].FromString(data)
            pcm = request.audio_content
            if not pcm:
                stats["empty"] += 1
                break
            n = len(pcm) // 2
            stats["samples"] += n
            stats["messages"] += 1
            stats["min"] = min(stats["min"] or n, n)
            stats["max"] = max(stats["max"], n)
            for utterance in ear.hear(pcm):
                yield from self.final(config, utterance)
            partial = [WORDS[w] for w, _, _ in ear.words]
            if (ear.first is not None and partial != interim and
                    config.interim_results and not self.args.no_interim):
                interim = partial
                yield self.response([(w, 0, 0) for w in partial] or
                                    [("...", 0, 0)], False)
        if ear.first is not None:
            yield from self.final(config, ear.flush())

    def final(self, config, utterance):
        words = self.transcript(utterance)
        if self.args.delay:
            time.sleep(self.args.delay / 1000)
        report(event="final", conversation=config.conversation,
               text=" ".join(w for w, _, _ in words), words=words)
        yield self.response(words, True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script")
    parser.add_argument("--say")
    parser.add_argument("--no-words", action="store_true")
    parser.add_argument("--no-interim", action="store_true")
    parser.add_argument("--delay", type=int, default=0)
    parser.add_argument("--loud", type=int, default=800)
    parser.add_argument("--silence", type=int)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--max-streams", type=int)
    parser.add_argument("--fault")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--later", action="store_true")
    args = parser.parse_args()
    if args.later:
        report(event="ready")
        sys.stdin.readline()

    axy = Axy(args)
    options = []
    if args.max_streams:
        options.append(("grpc.max_concurrent_streams", args.max_streams))
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64),
                         options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        SERVICE, {"StreamingRecognize": grpc.stream_stream_rpc_method_handler(
            axy.recognize)}),))
    address = "127.0.0.1:%d" % args.port
    if args.tls:
        cert, key = (open(path, "rb").read() for path in args.tls)
        port = server.add_secure_port(
            address, grpc.ssl_server_credentials(((key, cert),)))
    else:
        port = server.add_insecure_port(address)
    if not port:
        sys.exit("cannot listen on " + address)
    axy.server = server
    server.start()
    report(event="listening", port=port)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
