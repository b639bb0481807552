"exit" "1"  # not for a shell
# A worker of layers/compiler.c: compiles one module after another, apart from everything it belongs to.
# Standard input: two 32-bit lengths, a file name, a source. Standard output: first the magic number, then
# for each source a 32-bit length and that many bytes of marshalled code; 0 for one that does not compile.
import sys

sys.path[:] = [entry for entry in sys.path if entry]

import gc
import importlib.util
import marshal
import struct
import warnings


def compile_one(name, source):
    try:
        return marshal.dumps(compile(source, name, 'exec', dont_inherit=True, optimize=0))
    except Exception:  # as compileall does: SyntaxError, ValueError, RecursionError, MemoryError …
        return b''


def main():
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    gc.disable()  # code objects form no cycles
    warnings.simplefilter('ignore')
    answers.write(importlib.util.MAGIC_NUMBER)
    answers.flush()
    while True:
        head = requests.read(8)
        if len(head) < 8:
            return
        name_length, source_length = struct.unpack('<II', head)
        name = requests.read(name_length).decode('utf-8', 'surrogateescape')
        code = compile_one(name, requests.read(source_length))
        answers.write(struct.pack('<I', len(code)))
        answers.write(code)
        answers.flush()


main()
