# SPDX-License-Identifier: GPL-2.0-or-later
"""The screen in a real browser: Chromium shows the list, and takes keys."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestClient, TestServer
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from qmisniff.cli import main
from qmisniff.tui.browser import PageServer
from tests.tui.test_terminal import SAMPLE, conversation_file

PATIENCE_S = 60


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    # Without WebGL the terminal in the page is made of elements, whose text can be read.
    for word in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-webgl",
        "disable-3d-apis",
        "window-size=1400,900",
    ):
        options.add_argument(f"--{word}")
    options.binary_location = "/usr/bin/chromium"
    made = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    yield made
    made.quit()


def rows(browser: webdriver.Chrome) -> str:
    """What the terminal in the page shows."""
    found = browser.find_elements(By.CSS_SELECTOR, ".xterm-rows")
    return "\n".join(each.get_attribute("textContent") or "" for each in found)


def test_a_browser_shows_the_list(browser: webdriver.Chrome, tmp_path: Path) -> None:
    port = free_port()
    file = conversation_file(tmp_path)
    server = subprocess.Popen(
        [sys.executable, "-m", "qmisniff", "serve", "--port", str(port), file],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline and server.poll() is None, "nobody listens"
            time.sleep(0.1)
        browser.get(f"http://127.0.0.1:{port}/")
        text = ""
        while "Get IDs" not in text:
            assert time.monotonic() < deadline, f"never came; the page is\n{text}\n{browser.page_source[:3000]}"
            time.sleep(0.2)
            text = rows(browser)
        assert "conversation.pcapng" in text and "7 received" in text
        fetched = browser.execute_script("return performance.getEntries().map(each => each.name)")
        addresses = [name for name in fetched if "://" in name]
        assert any(name.endswith(".js") for name in addresses) and any(name.endswith(".ttf") for name in addresses)
        assert {urlsplit(name).netloc for name in addresses} == {f"127.0.0.1:{port}"}
        browser.find_element(By.CSS_SELECTOR, ".xterm-helper-textarea").send_keys("?")
        while "Packet list" not in text:
            assert time.monotonic() < deadline, f"no help; the page is\n{text}"
            time.sleep(0.2)
            text = rows(browser)
    finally:
        browser.get("about:blank")  # the server waits for pages that are open
        server.terminate()
        server.wait(PATIENCE_S)


@pytest.mark.parametrize(("host", "warns"), [
    ("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("192.0.2.1", True),
    ("example.org", True),
])  # fmt: skip
def test_only_this_machine_unless_told_otherwise(
    host: str, warns: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a b.pcapng").write_bytes(SAMPLE.read_bytes())
    served: list[tuple[str, str, int]] = []

    def serve(server: PageServer) -> None:
        served.append((server.command, server.host, server.port))

    monkeypatch.setattr(PageServer, "serve", serve)
    assert main(["serve", "--host", host, "a b.pcapng"]) == 0
    assert served == [(f"{sys.executable} -m qmisniff tui -- 'a b.pcapng'", host, 8000)]
    assert ("nothing is encrypted" in capsys.readouterr().err) is warns


async def test_the_page_names_no_other_host() -> None:
    async with TestClient(TestServer(await PageServer("false", "127.0.0.1", 8000)._make_app())) as client:
        response = await client.get("/")
        page = await response.text()
        assert response.status == 200 and "textual-terminal" in page
        found = re.findall(r"""(?:src|href|url)[=(]"?([^")]*)""", page)
        assert len(found) > 3
        assert [each for each in found if ":" in each or each.startswith("//")] == ["data:,"]
        for each in found:
            if each.startswith("static/"):
                assert (await client.get("/" + each)).status == 200, each


@pytest.mark.parametrize(("host", "at", "origin", "may"), [
    ("127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:8000", True),
    ("127.0.0.1", "localhost:8000", "http://localhost:8000", True),
    ("127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:9000", False),
    ("127.0.0.1", "127.0.0.1:8000", "http://evil.example", False),
    ("127.0.0.1", "127.0.0.1:8000", "", False),
    ("127.0.0.1", "evil.example:8000", "http://evil.example:8000", False),  # their name for our address
    ("0.0.0.0", "phone.example:8000", "http://phone.example:8000", True),
    ("0.0.0.0", "phone.example:8000", "http://evil.example", False),
])  # fmt: skip
async def test_no_other_page_can_start_the_program(host: str, at: str, origin: str, may: bool) -> None:
    async with TestClient(TestServer(await PageServer("true", host, 8000)._make_app())) as client:
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
        async with client.get("/ws", headers={**upgrade, "Host": at, "Origin": origin}) as response:
            assert response.status == (101 if may else 403)


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "qmisniff", "serve", "--port", port], capture_output=True, text=True
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("qmisniff: ") and "(try another --port or --host)" in line


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["-"], 2, "cannot be shown standard input"),
    (["--port", "99999", str(SAMPLE)], 2, "'99999' is no port"),
    (["nowhere.pcapng"], 2, "nowhere.pcapng: No such file or directory"),
    ([__file__], 2, "not a capture file"),
    (["-i", "nothing"], 2, "there is no source 'nothing'"),
    (["-i", "usbmon63"], 3, ""),
    (["-i", "kernel", str(SAMPLE)], 2, "a file and a source at once"),
])  # fmt: skip
def test_what_cannot_be_served(arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("qmisniff: ") and words in line
