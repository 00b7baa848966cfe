"""A client of the YAML language server that editors use, over its standard input and output."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

PATIENCE_SECONDS = 120


class LanguageServer:
    """A server with one folder; a file is opened with its text, asked about, and the answers are LSP's."""

    def __init__(self, node: Path, program: Path, folder: Path) -> None:
        command = [node, program, "--stdio"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._heard: Queue[dict[str, Any]] = Queue()
        self._number = self._files = 0
        self._folder = folder
        self._diagnostics: dict[str, list[dict[str, Any]]] = {}
        Thread(target=self._listen, daemon=True).start()
        folders = [{"uri": folder.as_uri(), "name": "sites"}]
        self._ask("initialize", processId=None, capabilities={}, workspaceFolders=folders, rootUri=None)
        self._tell("initialized")
        settings = {"yaml": {"validate": True, "hover": True, "completion": True}}
        self._tell("workspace/didChangeConfiguration", settings=settings)

    def problems(self, text: str) -> list[dict[str, Any]]:
        """The diagnostics of a file with this text."""
        uri = self._show(text)
        while uri not in self._diagnostics:
            self._hear()
        return self._diagnostics[uri]

    def offered(self, text: str) -> list[str]:
        """What is offered at the place of the text that `|` marks."""
        uri, place = self._at(text)
        found = self._ask("textDocument/completion", textDocument={"uri": uri}, position=place)
        return [one["label"] for one in found["items"]]

    def hover(self, text: str) -> str:
        """What is shown over the place that `|` marks."""
        uri, place = self._at(text)
        found = self._ask("textDocument/hover", textDocument={"uri": uri}, position=place)
        return str(found["contents"]["value"]) if found else ""

    def close(self) -> None:
        """End the server."""
        self._ask("shutdown")
        self._tell("exit")
        self._process.wait(PATIENCE_SECONDS)

    def _at(self, text: str) -> tuple[str, dict[str, int]]:
        before, _, after = text.partition("|")
        lines = before.split("\n")
        return self._show(before + after), {"line": len(lines) - 1, "character": len(lines[-1])}

    def _show(self, text: str) -> str:
        """Open a file that was never open before: the server answers late, and of an old text."""
        self._files += 1
        uri = (self._folder / f"site-{self._files}.yaml").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", textDocument=document)
        return uri

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": parameters})
        while True:
            message = self._hear()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def _tell(self, method: str, **parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0"} | message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        message = self._heard.get(timeout=PATIENCE_SECONDS)
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:  # it asks for settings or capabilities
            answer = [None] * len(message["params"].get("items", [])) if "params" in message else None
            self._send({"id": message["id"], "result": answer})
        return message

    def _listen(self) -> None:
        out = self._process.stdout
        assert out is not None
        while line := out.readline():
            size = 0
            while line.strip():
                name, _, value = line.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
                line = out.readline()
            self._heard.put(json.loads(out.read(size)))
