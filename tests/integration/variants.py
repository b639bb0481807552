"""Variants of a test that find much the same: ./check --fast runs the first, the others are `slow`."""

import os

import pytest


def first_quick(values):
    """For parametrize() and fixtures: @values, of which all but the first are slow."""
    return [pytest.param(value, marks=pytest.mark.slow) if index else value for index, value in enumerate(values)]


def users(own, ordinary):
    """What a fixture calls the users that it runs as: where the suite is root, @ordinary and @own."""
    return first_quick([ordinary, own]) if os.getuid() == 0 else [ordinary]
