"""One Chromium for all tests of this folder: `make browser`."""

import shutil

import pytest

from support.browser import Browser


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser with an empty profile."""
    assert shutil.which("chromedriver"), "no chromedriver: run `make browser`"
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
