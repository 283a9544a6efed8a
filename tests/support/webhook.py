"""A real web server that takes what is posted to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# From path and body to the status and the headers of the answer.
Answer = Callable[[str, bytes], tuple[int, Mapping[str, str]]]


@contextmanager
def posted_to(answer: Answer) -> Iterator[str]:
    """A server that answers what is posted to it; its host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers = answer(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except ConnectionError:
                return  # who asked is dead

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
