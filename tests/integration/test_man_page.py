"""docs/venvfs.1 has every verb and option that --help has, and no other."""

import re

import support
from test_command_line import options, verbs

PAGE = support.TREE / "docs" / "venvfs.1"


def sections():
    """The page's subsections, title → text without roff's escapes."""
    text = PAGE.read_text().replace("\\-", "-").replace("\\e", "\\")
    text = re.sub(r"\\f[BIR]", "", text)
    everything = text.split("\n.SH OPTIONS OF EVERY VERB\n")
    parts = re.split(r"(?m)^\.SS (.*)\n", everything[0])
    found = dict(zip(parts[1::2], parts[2::2]))
    found["every verb"] = everything[1].split("\n.SH ")[0]
    return found


def documented(text):
    return set(re.findall(r"(?m)^\.TP\n(?:-[a-z], )?(--[a-z-]+)", text))


def test_no_line_of_text_is_taken_for_a_request():
    assert [line for line in PAGE.read_text().splitlines() if line.startswith("'")] == []


def test_the_page_is_the_help(world):
    page = sections()
    titles = {title.split()[1]: title for title in page if title != "every verb"}
    assert list(titles) == verbs(world)
    common = documented(page["every verb"])
    for verb, title in titles.items():
        help_text = world.venvfs(verb, "--help").out
        usage = help_text.splitlines()[0].replace("Usage: ", "").replace(" [OPTION…]", "")
        assert title == usage
        assert documented(page[title]) | common == options(help_text) | common
        assert help_text.split("\n\n")[1] in page[title]
    assert common - {"--version"} == options(help_text.split("Options of every verb:\n")[1])
