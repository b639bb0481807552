"""The columns of the table that test_filesystem_matrix.py runs: the kinds of nodes.

What the image has as `node`, made in the lower tree, and what was then done to it through the mount."""

import os
import shutil
import socket

from filesystem import RENAME_EXCHANGE, renameat2


def lower_file(path):
    path.write_bytes(b"lower file\n" * 20)


def lower_inline(path):
    path.with_name("node.inline").write_bytes(b"kept inside\n")


def lower_view(path):
    path.with_name("node.view").write_bytes(b"the same wherever it is\n")


def lower_read_only(path):
    lower_file(path)
    path.chmod(0o444)


def lower_link(path):
    path.symlink_to("file2")


def lower_directory(path):
    (path / "sub").mkdir(parents=True)
    (path / "one").write_bytes(b"one\n")
    (path / "sub" / "deep").write_bytes(b"deep\n")


def lower_empty(path):
    path.mkdir()


def lower_read_only_directory(path):
    lower_directory(path)
    path.chmod(0o555)


def lower_nothing(path):
    pass


def nothing_done(path):
    pass


def write_byte(path):
    with open(path, "r+b") as file:
        file.write(b"W")


def cut(path):
    os.truncate(path, 7)


def set_mode(mode):
    return lambda path: os.chmod(path, mode)


def link_twice(path):
    os.link(path, path.with_name("linked"), follow_symlinks=False)


def move_in(path):
    os.rename(path, path.with_name("elsewhere"))
    os.rename(path.with_name("elsewhere"), path)


def replace_file(path):
    os.unlink(path)
    path.write_bytes(b"in its place\n")


def replace_directory(path):
    shutil.rmtree(path)
    path.mkdir()
    (path / "mine").write_bytes(b"mine\n")


def merge(path):
    (path / "born").write_bytes(b"born\n")
    os.unlink(path / "one")


def empty_it(path):
    for name in ("sub", "one"):
        shutil.rmtree(path / name) if name == "sub" else os.unlink(path / name)


def swap(path):
    renameat2(path, path.with_name("dir2"), RENAME_EXCHANGE)


def make_file(mode):
    def make(path):
        path.write_bytes(b"born here\n")
        path.chmod(mode)
    return make


def make_directory(mode):
    def make(path):
        path.mkdir()
        (path / "mine").write_bytes(b"mine\n")
        path.chmod(mode)
    return make


def make_empty(mode):
    def make(path):
        path.mkdir()
        path.chmod(mode)
    return make


def listen(path):
    os.chdir(path.parent)
    socket.socket(socket.AF_UNIX).bind("node")


KINDS = [
    # name            in the image              what was done to it
    ("file",          lower_file,                nothing_done),
    ("inline",        lower_inline,              nothing_done),
    ("view",          lower_view,                nothing_done),
    ("0444",          lower_read_only,           nothing_done),
    ("symlink",       lower_link,                nothing_done),
    ("dir",           lower_directory,           nothing_done),
    ("empty dir",     lower_empty,               nothing_done),
    ("0555 dir",      lower_read_only_directory, nothing_done),
    ("none",          lower_nothing,             nothing_done),
    ("copied up",     lower_file,                write_byte),
    ("view up",       lower_view,                write_byte),
    ("stub",          lower_file,                set_mode(0o640)),
    ("stub 0444",     lower_file,                set_mode(0o444)),
    ("stub 0000",     lower_file,                set_mode(0)),
    ("cut stub",      lower_file,                cut),
    ("two links",     lower_file,                link_twice),
    ("moved file",    lower_file,                move_in),
    ("moved link",    lower_link,                move_in),
    ("moved dir",     lower_directory,           move_in),
    ("swapped dir",   lower_directory,           swap),
    ("merged",        lower_directory,           merge),
    ("emptied",       lower_directory,           empty_it),
    ("dir up 0555",   lower_directory,           set_mode(0o555)),
    ("dir up 0000",   lower_directory,           set_mode(0)),
    ("empty up 0000", lower_empty,               set_mode(0)),
    ("whiteout",      lower_file,                os.unlink),
    ("file again",    lower_file,                replace_file),
    ("dir again",     lower_directory,           replace_directory),
    ("born",          lower_nothing,             make_file(0o644)),
    ("born 0400",     lower_nothing,             make_file(0o400)),
    ("born dir",      lower_nothing,             make_directory(0o755)),
    ("born 0555 dir", lower_nothing,             make_empty(0o555)),
    ("born link",     lower_nothing,             lambda path: os.symlink("file2", path)),
    ("fifo",          lower_nothing,             lambda path: os.mkfifo(path, 0o640)),
    ("socket",        lower_nothing,             listen),
]
