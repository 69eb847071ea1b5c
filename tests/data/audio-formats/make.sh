#!/bin/sh
# Makes the files of this folder from one sentence (8 kHz, mono, 16 bit):
# sh make.sh SENTENCE.wav. Needs sox, libsox-fmt-all and lame. They are
# checked in, so that the tests do not depend on versions of these.
set -e
sox "$1" -b 16 source.wav trim 0.25 0.4 fade 0.01 0.4 0.01
sox source.wav -e unsigned -b 8 u8_11025.wav rate 11025
sox source.wav -b 16 s16_44100_stereo.wav rate 44100 channels 2
sox source.wav -b 24 s24_22050.wav rate 22050
sox source.wav -b 32 s32_16000.wav rate 16000
sox source.wav -e float -b 32 f32_24000.wav rate 24000
sox source.wav -e float -b 64 f64_12000.wav rate 12000
sox source.wav -e mu-law ulaw_8000.wav
sox source.wav -e a-law alaw_8000.wav
sox source.wav -e mu-law ulaw_16000.wav rate 16000
sox source.wav vorbis_16000.ogg rate 16000
sox source.wav flac_24000_stereo.flac rate 24000 channels 2
sox source.wav s16_8000.au
sox source.wav s16_16000.aiff rate 16000
sox source.wav -t wav - rate 16000 |
	lame --quiet -b 32 - mp3_16000.mp3
sox source.wav -t wav - rate 44100 channels 2 |
	lame --quiet -V 4 --id3v2-only --tt title - mp3_44100_stereo_id3.mp3
lame --quiet -b 16 --resample 8 source.wav mp3_8000.mp3
