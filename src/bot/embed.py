#!/usr/bin/env python3
"""Turn a file into a C array: embed.py NAME INPUT OUTPUT"""
import sys

name, src, dst = sys.argv[1:]
with open(src, 'rb') as f:
    data = f.read()

with open(dst, 'w') as f:
    f.write('#include "embedded.h"\n\n')
    f.write(f'const char embedded_{name}[] = {{\n')
    for i in range(0, len(data), 12):
        f.write('\t' + ' '.join(f'{b},' if b < 128 else f'(char){b},'
                                for b in data[i:i + 12]) + '\n')
    f.write('\t0,\n};\n')
    f.write(f'const size_t embedded_{name}_len = {len(data)};\n')
