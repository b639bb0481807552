#!/usr/bin/env python3
"""Turns a text file into C string literals, to be included as an initialiser: embed.py INPUT OUTPUT."""
import sys


def literal(line):
    text = ''.join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f'\\{b:03o}' for b in line)
    return f'"{text}"\n'


source, target = sys.argv[1:]
with open(source, 'rb') as file:
    lines = file.read().splitlines(keepends=True)
with open(target, 'w', encoding='ascii') as file:
    file.writelines(map(literal, lines))
