#!/usr/bin/env python3
"""Turns a text file into C string literals, to be included as an initialiser:

    embed.py [--template] INPUT OUTPUT

With --template, @path:sh@ and @prompt:sh@ (any dialect, or none) become references of layers/view.h.
"""
import re
import sys


def literal(line):
    text = ''.join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f'\\{b:03o}' for b in line)
    return f'"{text}"\n'


def reference(match):
    noun, dialect = match.groups()
    kind = noun if not dialect else dialect if noun == b'path' else noun + b'-' + dialect
    return b'\1' + kind + b'\2'


*options, source, target = sys.argv[1:]
with open(source, 'rb') as file:
    data = file.read()
if options == ['--template']:
    data = re.sub(rb'@(path|prompt)(?::([a-z0-9]+))?@', reference, data)
with open(target, 'w', encoding='ascii') as file:
    file.writelines(map(literal, data.splitlines(keepends=True)))
