"""multiprocessing by every start method, and concurrent.futures: children are of this environment."""

import concurrent.futures
import multiprocessing
import sys

import django


def prefix(n):
    import django as there
    return n, sys.prefix, there.__file__ == django.__file__


if __name__ == "__main__":
    for method in ("spawn", "forkserver", "fork"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, sorted(pool.map(prefix, range(3))))
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        print(sorted(executor.map(prefix, range(3))))
